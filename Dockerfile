# A small image with lite2pg alone: `docker run --rm -v "$PWD:/data" lite2pg migrate app.db "$DATABASE_URL"`.
# For `embedded` and `rehearse` it needs PostgreSQL's server programs: `--build-arg POSTGRES=postgresql` puts Debian's in.
# The project's tests do not build this file.
FROM rust:1-bookworm AS build
WORKDIR /build
COPY Cargo.toml Cargo.lock ./
COPY src src
COPY benches benches
COPY examples examples
COPY fixtures fixtures
RUN cargo build --release --locked --bin lite2pg

FROM debian:bookworm-slim
ARG POSTGRES=""
# Certificates are for sslmode=verify-full. No cluster is created by the package: lite2pg starts its own.
RUN mkdir -p /etc/postgresql-common \
    && echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.conf \
    && apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates $POSTGRES \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 lite2pg \
    && install -d -o lite2pg /data
COPY --from=build /build/target/release/lite2pg /usr/local/bin/lite2pg
USER lite2pg
WORKDIR /data
ENTRYPOINT ["lite2pg"]
