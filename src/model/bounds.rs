//! Every bound of the program, each with its reason. A figure that limits something stands here.

use std::time::Duration;

/// A COPY batch is sent when it holds this many bytes. Between 64 KB and 1 MB no difference was measured;
/// small batches keep the memory of many lanes low.
pub const BATCH_BYTES: usize = 256 * 1024;

/// One COPY message to the server. Larger cells are sent in pieces of this size, so that no layer below
/// copies a whole one.
pub const COPY_MESSAGE_BYTES_MAX: usize = 1024 * 1024;

/// Cells from this size on are held one at a time: the batch is sent as soon as one is in it.
pub const LARGE_CELL_BYTES: u64 = COPY_MESSAGE_BYTES_MAX as u64;

/// Lanes that read tables with large cells. Each holds a cell twice, in SQLite and in its batch, so that
/// two hold the promised four times the largest cell.
pub const LARGE_CELL_LANES_MAX: usize = 2;

/// A range's transaction ends after this many bytes; what is left of the range is a new one. Bounds what a
/// crash costs and lets lanes share a table whose keys are unevenly spread.
pub const RANGE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Rows a range is planned for. Between 50 k and 1 M no difference was measured.
pub const RANGE_ROWS: u64 = 200_000;

/// Ranges that a table is cut into at most; more would only be more transactions.
pub const RANGES_PER_TABLE_MAX: u32 = 1024;

/// Originals of stand-ins held in memory before they are written in the range's transaction.
pub const ORIGINALS_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Texts that PostgreSQL is asked to cast in one statement. One that it refuses takes the statement with it, and is searched
/// for by halves: twelve more statements here.
pub const CAST_ROWS: usize = 4096;
/// Bytes of their rows that wait meanwhile.
pub const CAST_BYTES: usize = 1024 * 1024;
/// Different values of one column that PostgreSQL may refuse to cast: as many as rows that may be set aside. Each is
/// remembered by 16 bytes.
pub const CASTS_REFUSED_MAX: usize = 100_000;

/// Rows from which on the indexes of a table that was there are dropped before a load and built again after it. With three
/// of them (two on random texts), 100 000 rows and their indexes came in 1.5 s instead of 4.8, 1.2 million in 8.4 s instead
/// of 43 (2 busy cores, PostgreSQL 15). Below that the gain is a second or two, and not worth that they are away.
pub const INDEXES_ASIDE_ROWS: u64 = 100_000;

/// Values that rows refer to of which a load holds hashes, 16 bytes each: 8 MB, and as much again while they are gathered.
/// To look into the parent's table for each of a million tasks took 2 s, in a set of 50 000 it takes 0.3 s.
pub const PARENTS_HELD_MAX: usize = 500_000;

/// Ids of a map that were met lately, 16 bytes each: what refers to the same rows again and again is sent seldom twice.
pub const IDS_MET_LATELY: usize = 65_536;

/// Rows that the profile reads of one table before it begins to skip: below this, it reads them all.
pub const PROFILE_ROWS_MAX: u64 = 50_000;

/// Places in a large table that the profile reads from.
pub const PROFILE_SPOTS: u64 = 64;

/// Bytes that the profile reads of one table; a table of large blobs gives its answer early.
pub const PROFILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// SQLite's page cache of one connection.
pub const SQLITE_CACHE_BYTES: usize = 2 * 1024 * 1024;

/// Prepared statements that one SQLite connection keeps; a lane works on a few tables at a time.
pub const SQLITE_STATEMENTS: usize = 32;

/// Pages that one step of a hot backup copies, between looks at the clock.
pub const BACKUP_PAGES_STEP: u16 = 1024;

/// Times that a file is copied again because it changed under the copy.
pub const SOURCE_COPY_TRIES: u32 = 3;

/// A source up to this size is fingerprinted whole; writers wait meanwhile, so that it must stay a moment.
pub const FINGERPRINT_WHOLE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Places in a larger source that its fingerprint reads.
pub const FINGERPRINT_SPOTS: u64 = 64;

/// Bytes that the fingerprint reads in each place.
pub const FINGERPRINT_SPOT_BYTES: u64 = 64 * 1024;

/// How long SQLite waits for another process's lock.
pub const SQLITE_BUSY: Duration = Duration::from_secs(30);

/// PostgreSQL's own limits (<https://www.postgresql.org/docs/current/limits.html>).
pub const PG_COLUMNS_MAX: usize = 1600;
/// Bytes in an identifier.
pub const PG_NAME_BYTES_MAX: usize = 63;

/// JSON nested deeper stays text: the server parses by recursion and stops at its `max_stack_depth`.
pub const JSON_DEPTH_MAX: usize = 512;

/// Skeletons of JSON documents that are kept for a table: a table has few columns of JSON, and a column few kinds of
/// documents. Each is tried, so that more would cost those that go by none.
pub const JSON_SKELETONS_MAX: usize = 4;

/// Bytes of a skeleton: beyond them, values outweigh keys.
pub const JSON_SKELETON_BYTES_MAX: usize = 4096;

/// Values of a skeleton.
pub const JSON_SKELETON_VALUES_MAX: usize = 256;

/// What it costs to learn a skeleton, in the credit that a document earns which goes by none. It takes about as long as
/// reading two documents, and saves more than half of one.
pub const JSON_SKELETON_COST: u32 = 256;

/// What a document earns that goes by a skeleton.
pub const JSON_SKELETON_HIT: u32 = 32;

/// The most credit, and what is there at first: as many skeletons as are kept.
pub const JSON_SKELETON_CREDIT_MAX: u32 = 1024;

/// Digits before and after the decimal point that PostgreSQL's numeric takes (docs, "Numeric Types").
pub const NUMERIC_INTEGER_DIGITS_MAX: usize = 131_072;
/// Digits after the decimal point.
pub const NUMERIC_FRACTION_DIGITS_MAX: usize = 16_383;

/// How long a connection attempt may take where the target does not say (`connect_timeout`).
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a connection says nothing before TCP asks whether the server's machine is still there, where the target
/// does not say (`keepalives_idle`). Systems wait two hours, which is longer than a maintenance window.
pub const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);

/// How often TCP asks again (`keepalives_interval`).
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// Questions without an answer after which TCP gives the connection up (`keepalives_count`): two minutes in all.
pub const KEEPALIVE_COUNT: u32 = 6;

/// How long an answer may take before lite2pg looks by a second connection whether one can still come, where the target
/// does not say (`tcp_user_timeout`). Each look costs the server a connection.
pub const SILENCE: Duration = Duration::from_secs(60);

/// Looks in a row that see no more than the last one before a connection counts as lost: what is on its way may be slow.
/// A COPY's message of 1 MB has three minutes to arrive.
pub const SILENT_LOOKS_MAX: u32 = 3;

/// The same where the server has an answer for us: a row of 1 GB comes as one, and has twenty minutes.
pub const SILENT_LOOKS_SENDING_MAX: u32 = 20;

/// How long a start waits for the lock of a run before it: a server takes a moment to notice a killed client.
pub const DEAD_CLIENT_PATIENCE: Duration = Duration::from_secs(1);

/// Connections to the target at most; `--jobs` above this is refused.
pub const LANES_MAX: usize = 64;

/// Tables that one transaction creates to ask the server about them. Each takes some eight locks, and a server
/// with default settings has room for 6400.
pub const PROBE_TABLES_MAX: usize = 250;

/// Times that tables are loaded again because the rows disproved a type. Each round reads the disproved
/// tables whole, so that a second round is rare and a third has no cause left.
pub const RELOAD_ROUNDS_MAX: u32 = 8;

/// How often a run says where it is when nobody watches a terminal.
pub const PROGRESS_LINE_EVERY: Duration = Duration::from_secs(10);

/// `maintenance_work_mem` of the sessions that build indexes, all of them together, in MB.
pub const MAINTENANCE_MB_TOTAL: usize = 512;

/// Bytes of a part of a table that is read to be compared while its keys are built: the lock that makes an index a key
/// waits for the part's end. From PostgreSQL 14 on all parts are as short as this.
pub const AHEAD_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Rows of both sides that the search for differences holds the hashes of at once: 48 bytes each.
pub const LOCATE_ROWS_MAX: u64 = 300_000;

/// Rows that the search for differences counts before it sketches: small tables, of which a run makes many searches.
pub const BALANCE_ROWS_MAX: usize = 20_000;

/// Cells of the sketch that finds rows that differ in one reading, 48 bytes each: enough for three quarters as many rows.
pub const SKETCH_CELLS: usize = 200_000;

/// Rows that the search for differences holds whole at once. What is more takes another reading of both sides.
pub const LOCATE_HELD_MAX: usize = 20_000;

/// Bytes of these rows.
pub const LOCATE_BYTES_MAX: usize = 12 * 1024 * 1024;

/// Rows that differ are searched for in one table until this many were found, where nobody states a number.
pub const DIFFERENCES_MAX: u64 = 10_000;

/// Rows that differ are kept for the summary of one table; the file has the others.
pub const DIFFERENCE_SAMPLES: usize = 5;

/// Rows of the scratch copy in which the verifier plants changes: enough for NULLs and values of each column.
pub const PLANTED_ROWS: usize = 50;

/// Rows that are looked at for those without large cells.
pub const PLANTED_ROWS_LOOKED_AT: usize = 1000;

/// Cells of the scratch copy are no larger on the server's disk, where there are such: it is read a few dozen times.
pub const PLANTED_CELL_BYTES_MAX: usize = 2048;

/// Tables of which the verifier makes a scratch copy at most. Each costs some twenty changes, read back one by one.
pub const PLANTED_TABLES_MAX: usize = 4;

/// Figures that one statement asks of a table. PostgreSQL's result has 1664 columns at most, SQLite's 2000, and each
/// figure takes up to three.
pub const AGGREGATES_PER_STATEMENT: usize = 500;

/// Rows of a table for which the end of a migration still asks both databases for sums. 200 000 rows with uuids, times
/// and JSON took 2 s on a busy machine of two cores, which `lite2pg verify` may cost and a migration may not.
pub const AGGREGATE_ROWS_MAX: u64 = 20_000;

/// Rows of one table that a repair puts right: their keys are held, 16 bytes each.
pub const REPAIR_ROWS_MAX: usize = 1_000_000;

/// Rows that a run sets aside where nobody states a number: the places of all of them are held in memory, and a rule that
/// most rows break is a wrong rule.
pub const REJECTS_MAX: u64 = 100_000;

/// Rows of the answer to a person's question at the end of a run: they are compared, and printed where they differ.
pub const CHECK_ROWS_MAX: usize = 1000;

/// How often a dump is looked at: whether it has ended, and whether a person wants it to.
pub const DUMP_LOOK_EVERY: Duration = Duration::from_millis(50);

/// Room that a disk must have beyond what a backup may need, in hundredths of that.
pub const BACKUP_ROOM_PERCENT: u64 = 10;

/// How often a parity query is asked where nobody states a number: enough for a median.
pub const PARITY_TIMES: u32 = 5;

/// The same at most.
pub const PARITY_TIMES_MAX: u32 = 1000;

/// Migrations of an application that are compared: those of ten years at one a day.
pub const MIGRATIONS_MAX: usize = 4000;

/// Rows of one step of the search for those that the server refuses: at first, and at most where it refuses few.
pub const SEARCH_ROWS: (usize, usize) = (512, 4096);

/// Bytes of such a step, as the rows are encoded.
pub const SEARCH_BYTES_MAX: usize = 1024 * 1024;

/// Times that a range is tried again because another lane's rows were in the way of its own.
pub const REFUSED_TRIES_MAX: u32 = 8;

/// Places in a table, and rows from each, that PostgreSQL reads itself in a comparison that somebody asked for.
pub const SAMPLE_SPOTS: (u64, u64) = (32, 32);

/// The same at the end of a migration, where it may cost next to nothing.
pub const SAMPLE_SPOTS_FEW: (u64, u64) = (16, 16);

/// Tables that are sampled at the end of a migration, largest first: each takes some ten milliseconds.
pub const SAMPLE_TABLES_MAX: usize = 50;

/// Columns that are sampled: a row of as many pointers to large texts still fits a page of 8 kB.
pub const SAMPLE_COLUMNS_MAX: usize = 250;

/// Larger cells are left out of the sample.
pub const SAMPLE_CELL_BYTES_MAX: usize = 64 * 1024;

/// A table's sample ends after this many bytes.
pub const SAMPLE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Rows of each table's sample where nobody states a number.
pub const SAMPLE_ROWS: u64 = 1000;

/// Rows of a sample that are looked up by one statement: its text is some tens of kB, and each row costs a search in the
/// key's index.
pub const LOOKUP_ROWS: usize = 500;

/// Bytes of these rows, shown and as forms, that are held at once.
pub const LOOKUP_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What a bench takes of a large source, spread over each table: bytes of cells, and for each row as many again as
/// its envelope costs the server. Seven combinations in three rounds then take well under a minute.
pub const BENCH_SAMPLE_BYTES: u64 = 64 * 1024 * 1024;

/// What a row counts besides its cells.
pub const BENCH_ROW_BYTES: u64 = 64;

/// What a bench takes of each table at least, so that a small one is not one row.
pub const BENCH_TABLE_BYTES_MIN: u64 = 1024 * 1024;

/// The same in rows: beyond these, small rows would make a small table count too much.
pub const BENCH_TABLE_ROWS_MIN: u64 = 1000;

/// Tables that a bench loads, the largest ones: each round creates them in one transaction.
pub const BENCH_TABLES_MAX: usize = 200;

/// Places in a table that its sample comes from.
pub const BENCH_SPOTS: u32 = 16;

/// Bytes of one transaction of a bench's lane, so that several lanes share a table.
pub const BENCH_UNIT_BYTES: u64 = 4 * 1024 * 1024;

/// No round of a bench begins after this.
pub const BENCH_ROUNDS_UNTIL: Duration = Duration::from_secs(45);

/// Batches that a bench tries beside [`BATCH_BYTES`].
pub const BENCH_BATCH_BYTES: [usize; 2] = [64 * 1024, 1024 * 1024];

/// Rows of one INSERT: beyond some hundreds, only parsing grows.
pub const INSERT_ROWS_MAX: u64 = 1000;

/// Page cache of the scratch file of rows that differ: the upper levels of its indexes, whatever its size.
pub const STAGE_CACHE_BYTES: usize = 8 * 1024 * 1024;

/// Statements that the scratch file is used by.
pub const STAGE_STATEMENTS: usize = 16;

/// Lines of `PRAGMA integrity_check` that are looked at: what was wrong before is told from what is new by them.
pub const INTEGRITY_LINES_MAX: u32 = 1000;

/// Keys that are told of rows or cells that cannot go back, for each column and reason.
pub const UNFIT_KEYS_MAX: usize = 5;

/// Spellings of one column that are counted to find its usual one: a column of ids has as many as it has rows.
pub const SPELLINGS_MAX: usize = 64;

/// How long a fence waits for transactions that write. New writers queue behind it meanwhile, and readers do not.
pub const FENCE_PATIENCE: Duration = Duration::from_secs(30);

/// How long a trigger that is switched off waits for readers before it is left where it is: those who come to read
/// wait as long.
pub const FENCE_SWEEP_PATIENCE: Duration = Duration::from_millis(500);

/// The time over which `status` measures a run's speed: ranges end every few seconds, and old ones say little of now.
pub const RATE_WINDOW: Duration = Duration::from_secs(60);

/// Lines of SQLite's own check of a file that an inspection tells: one is enough to be worried by.
pub const INSPECT_DAMAGES_MAX: usize = 5;

/// Tables that metrics have a series of their own for: a Prometheus keeps each for weeks.
pub const METRICS_TABLES_MAX: usize = 200;

/// Bytes of a request for metrics. A scraper's has some hundred.
pub const METRICS_REQUEST_BYTES_MAX: usize = 8 * 1024;

/// Time in which such a request comes and is answered: the next one waits meanwhile.
pub const METRICS_PATIENCE: Duration = Duration::from_secs(2);

/// A source of at most this size is rehearsed whole by `--quick` too: that takes a few seconds.
pub const REHEARSAL_WHOLE_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Rows of each table that `--quick` takes, besides those that they refer to.
pub const REHEARSAL_ROWS: u64 = 2000;

/// A source of at most this size is killed whole: it is moved again after each kill.
pub const REHEARSAL_KILL_BYTES_MAX: u64 = 2 * 1024 * 1024;

/// Rows of each table of a larger one: kills are about steps, and more rows of a table do not make more of them.
pub const REHEARSAL_KILL_ROWS: u64 = 100;

/// Kills of each verb, each of which costs two runs. A schema of some dozen tables has fewer steps.
pub const REHEARSAL_KILLS_MAX: usize = 250;

/// The same with `--quick`.
pub const REHEARSAL_KILLS_QUICK: usize = 6;

/// How long a process that is to be killed may be at work between two steps: its file is a small one.
pub const REHEARSAL_STEP_PATIENCE: Duration = Duration::from_secs(300);

/// The last lines that a command wrote, each of them cut: a test says there what it found.
pub const HOOK_LINES: usize = 20;
