# Makes the data folder where there is none, then becomes Postgres.
set -eu

if [ ! -d "$PGDATA" ]; then
    # Elsewhere, then moved: one that was broken off half way must not be taken for a whole one.
    new=$PGDATA.new
    rm -rf "$new"
    initdb -D "$new" --username=flashsale --pwfile=/password/password --encoding=UTF8 \
        --locale=C.UTF-8 --auth-local=trust --auth-host=scram-sha-256
    echo 'host all all all scram-sha-256' >>"$new/pg_hba.conf"
    echo 'CREATE DATABASE flashsale' | postgres --single -D "$new" postgres
    mv "$new" "$PGDATA"
fi

# 600 connections: every API pod has up to 16 of its own, and the operators some more.
exec postgres -c listen_addresses='*' -c unix_socket_directories=/tmp -c max_connections=600
