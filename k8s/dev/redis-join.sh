# Makes the six Redis nodes one cluster and keeps them one: a pod that was deleted comes back with
# another address and without its data, and joins again as a replica of a master that lacks one.
#
# The file that it is given, or /tmp/joined, is there while all six agree that the cluster is ok.
set -u

NODES='0 1 2 3 4 5'
FILE=${1:-/tmp/joined}
# Seconds between two looks.
PAUSE=${2:-2}
# Looks at a broken cluster before it is given up: a failed master is replaced within some ten
# seconds.
PATIENCE=20

# address INDEX: the address of its pod now, or nothing.
address() {
    getent ahostsv4 "flashsale-redis-$1.flashsale-redis" | {
        read -r address _ && printf '%s' "$address"
    }
}

# ask ADDRESS WORD...: a node's answer; nothing where it is silent for two seconds.
ask() {
    to=$1
    shift
    timeout 2 redis-cli -h "$to" "$@" 2>/dev/null
}

# look: sets `all`, the addresses of the six; `empty`, those that know of no other; `joined`,
# those that do; and `ok`, those of them that say that the cluster is. Fails where one does not
# answer.
look() {
    all='' empty='' joined='' ok=''
    for index in $NODES; do
        at=$(address "$index")
        [ -n "$at" ] || return 1
        info=$(ask "$at" cluster info) || return 1
        all="$all $at"
        case $info in
            *cluster_known_nodes:1[!0-9]*) empty="$empty $at" && continue ;;
        esac
        joined="$joined $at"
        case $info in
            *cluster_state:ok*cluster_slots_ok:16384[!0-9]*) ok="$ok $at" ;;
        esac
    done
}

# first WORD...: the first of them.
first() { printf '%s' "${1:-}"; }

create() {
    echo "creating a cluster of$all"
    # shellcheck disable=SC2046 # words
    redis-cli --cluster create $(printf '%s:6379 ' $all) --cluster-replicas 1 --cluster-yes
}

# meet: everyone who is joined meets everyone; so they learn each other's new addresses.
meet() {
    echo "introducing$joined to each other"
    for at in $joined; do
        for other in $joined; do
            [ "$at" = "$other" ] || ask "$at" cluster meet "$other" 6379 >/dev/null
        done
    done
}

# forget: nodes that failed and are at no pod's address any more.
forget() {
    ask "$(first $joined)" cluster nodes | while read -r id at flags _; do
        at=${at%%:*}
        case " $all " in *" $at "*) continue ;; esac
        case ",$flags," in *,fail,* | *,noaddr,*) ;; *) continue ;; esac
        echo "forgetting $id, which was at $at"
        for other in $joined; do ask "$other" cluster forget "$id" </dev/null >/dev/null; done
    done
}

# add: those that came back empty become replicas.
add() {
    for at in $empty; do
        echo "adding $at"
        redis-cli --cluster add-node "$at:6379" "$(first $joined):6379" --cluster-slave
    done
}

# start_over: what is left of a cluster that lost a master and its replica becomes six empty nodes.
start_over() {
    echo 'part of the slots is lost for good; starting over'
    for at in $all; do
        ask "$at" flushall >/dev/null
        ask "$at" cluster reset hard >/dev/null
    done
}

broken=0
while :; do
    if ! look; then
        # What does not answer is waited for.
        rm -f "$FILE"
    elif [ -z "$joined" ]; then
        create
    elif [ "$ok" != "$joined" ]; then
        # Nobody is forgotten now: a replica may be about to take a failed master's place.
        rm -f "$FILE"
        broken=$((broken + 1))
        if [ "$broken" -gt "$PATIENCE" ]; then start_over; else meet; fi
        sleep "$PAUSE"
        continue
    else
        forget
        if [ -n "$empty" ]; then
            rm -f "$FILE"
            add
        else
            [ -e "$FILE" ] || echo "the cluster is ok:$all"
            : >"$FILE"
        fi
    fi
    broken=0
    sleep "$PAUSE"
done
