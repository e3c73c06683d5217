# Stops the processes and removes the folder of a program that ended, however it
# ended. Standard input is a pipe that only that program holds open; standard error
# is a file that is held open, with whatever lock it has, until all is cleaned up.
# Prints the folder, then waits.

# A signal to everything at once must not stop the one that cleans up.
trap '' HUP INT TERM QUIT
exec 9>&2 2>/dev/null
umask 022

# open_to_all FOLDER: every user can get there.
open_to_all() {
    place=$(cd "$1" && pwd -P) || return 1
    while :; do
        case $(stat -c %A "$place") in *[xt]) ;; *) return 1 ;; esac
        [ "$place" = / ] && return 0
        place=${place%/*}
        place=${place:-/}
    done
}

# Servers that refuse root run as another user. One who is not root has no other.
base=${TMPDIR:-/tmp}
[ "$(id -u)" != 0 ] || open_to_all "$base" || base=/tmp
folder=$(mktemp -d "$base/flashsale-XXXXXX") || exit 1
# They register themselves in pids.
chmod 755 "$folder" && mkdir "$folder/pids" && chmod 1777 "$folder/pids" || exit 1
printf '%s\n' "$folder" || { rm -rf "$folder"; exit 1; }
exec >/dev/null

while read -r _; do :; done

# From here on no process can register, so none can start any more.
mv "$folder/pids" "$folder/closed"

# ours PID START: it runs, and is not another process that got the same number.
# A zombie has ended; whoever started it reads its status when it likes.
ours() {
    read -r stat <"/proc/$1/stat" || return 1
    set -- "$2" ${stat##*) }
    [ "$2" != Z ] && [ "$2" != X ] && [ "${21}" = "$1" ]
}

# each SIGNAL: sends it, or each process's own where it is `own`, or nothing where
# it is `none`, to the groups of those still running. Sets `running`.
each() {
    running=0
    for file in "$folder"/closed/*; do
        start= signal=
        read -r start signal <"$file" || continue
        pid=${file##*/}
        ours "$pid" "$start" || continue
        running=$((running + 1))
        [ "$1" = none ] && continue
        [ "$1" = own ] || signal=$1
        kill -s "$signal" -- "-$pid"
        kill -s CONT -- "-$pid" # it may be paused
    done
}

# A process that is just starting has its file open but not yet written.
tries=0
while [ -n "$(find "$folder/closed" -type f -empty)" ] && [ "$tries" -lt 50 ]; do
    sleep 0.02
    tries=$((tries + 1))
done

for signal in own KILL; do
    each "$signal"
    tries=0
    while [ "$running" -gt 0 ] && [ "$tries" -lt 250 ]; do
        sleep 0.02
        tries=$((tries + 1))
        each none
    done
    [ "$running" -eq 0 ] && break
done

# A Postgres that was killed hard leaves its shared memory segment, named in the
# seventh line of this file. A clean end removes the file.
for file in "$folder"/*/data/postmaster.pid; do
    segment=$(sed -n '7s/^ *[0-9]* *//p' "$file")
    [ -n "$segment" ] && ipcrm -m "$segment"
done

while read -r file; do rm -f "$file"; done <"$folder/removals"

tries=0
while ! rm -rf "$folder" && [ "$tries" -lt 50 ]; do
    sleep 0.1
    tries=$((tries + 1))
done
