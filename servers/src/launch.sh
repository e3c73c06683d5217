# launch.sh FOLDER SIGNAL PROGRAM ARGUMENT...
# Registers this process with the guard of FOLDER, then becomes PROGRAM. Once the
# guard cleans up, registering fails and nothing is started.

# The time of its start tells a process from a later one with the same number.
started_at() {
    set -- ${1##*) }
    printf '%s' "${20}"
}

read -r stat <"/proc/$$/stat" || exit 125
printf '%s %s\n' "$(started_at "$stat")" "$2" >"$1/pids/$$" || exit 125
shift 2
exec "$@"
