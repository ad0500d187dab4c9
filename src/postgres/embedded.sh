# Runs a throw-away PostgreSQL server for as long as our standard input is open.
#
# The program that started us holds the other end of that pipe. However it ends, the pipe closes, and this
# script stops the server and removes its directories. The word "keep" on the pipe lets the server run on.
#
# usage: sh -c SCRIPT sh BIN DIR SOCKET_DIR
bin=$1 dir=$2 socket_dir=$3
last= running=

remove() {
  [ -e "$dir/keep" ] || rm -rf "$dir" "$socket_dir"
}

stop() {
  trap '' TERM INT HUP
  # The signal may come before the line that would have stored the process id, so ask the shell itself.
  if [ -n "$running" ] && [ "$!" != "$last" ]; then
    job=$!
    kill -INT "$job" 2>/dev/null
    # A fast shutdown that hangs is followed by an immediate one.
    ( n=0; while [ $n -lt 20 ]; do sleep 1; n=$((n + 1)); done; kill -QUIT "$job" 2>/dev/null ) &
    timer=$!
    wait "$job"
    # It inherited our deafness to TERM, and would outlive us to stop whoever has the process id by then.
    kill -KILL "$timer" 2>/dev/null
  fi
  remove
  exit 0
}
trap stop TERM INT HUP

# `read` is built in: the watcher is one process, and ends with us at the latest when the pipe closes.
exec 3<&0 </dev/null
( trap - TERM INT HUP
  word=
  read -r word <&3
  [ "$word" = keep ] || kill -TERM $$ ) &
exec 3<&-

run() {
  last=$! running=1
  "$@" &
  wait "$!"
  status=$?
  running=
  return "$status"
}

init() {
  run "$bin/initdb" -D "$dir/data" -U postgres --auth=trust -E UTF8 --locale="$1" --no-sync --no-instructions
}

# C.UTF-8 is not known to every system; C sorts the same and only knows fewer letters.
init C.UTF-8 || init C || exit 1
cat "$dir/settings" >>"$dir/data/postgresql.conf" || exit 1
cat "$dir/hba" >"$dir/data/pg_hba.conf" || exit 1
for file in "$dir"/files/*; do
  [ ! -e "$file" ] || cp -p "$file" "$dir/data/" || exit 1
done
run "$bin/postgres" -D "$dir/data"
# The server ended by itself or was stopped by pg_ctl. Its log stays for whoever waits for us.
exit "$status"
