# What the scripts of this folder share: servers in the background, and their end. To be sourced in the project's folder.
# Reads `binaries`, the folder of what was built; sets `scratch`, which is removed at the end, with all that runs.

bench=$binaries/mcproxy-bench
fixture=$binaries/mcproxy-fixture
# Without the SDK: what is measured is what stands in front of the server.
bare=(--profile bare)
core=0
mebibyte=1048576
scratch=$(mktemp -d)
results=$scratch/results.jsonl
touch "$results"
declare -A pid=() broken=()
# After so many seconds nothing more is measured.
limit=${limit:-390}

say() { printf '%s\n' "$*" >&2; }

# write_config FILE COUNT [ARGUMENT…]: COUNT fixture servers
write_config() {
    local file=$1 count=$2 index arguments=''
    shift 2
    for argument in "$@"; do arguments+="${arguments:+, }\"$argument\""; done
    {
        # Two at once would want the same users.
        printf '{"isolation": {"uids": "%s"}, "servers": [' "${MCPROXY_BENCH_UIDS:-off}"
        for ((index = 0; index < count; index++)); do
            ((index == 0)) || printf ','
            printf '\n  {"name": "fixture%s", "command": "%s", "args": [%s]}' "$index" "$fixture" "$arguments"
        done
        printf '\n]}\n'
    } >"$file"
}

# launch NAME COMMAND…: in the background, output to a log
launch() {
    local name=$1
    shift
    "$@" >"$scratch/$name.log" 2>&1 </dev/null &
    pid[$name]=$!
}

# mcproxy NAME CONFIG PORT [PREFIX…]: of the binaries in `binaries`
mcproxy() { mcproxy_of "$binaries" "$@"; }

# mcproxy_of FOLDER[@HARDENING] NAME CONFIG PORT [PREFIX…]
mcproxy_of() {
    local folder=$1 name=$2 config=$3 port=$4 hardening=()
    shift 4
    case $folder in *@off | *@best-effort | *@strict) hardening=(--hardening "${folder##*@}") folder=${folder%@*} ;; esac
    mkdir -p "$scratch/$name.run" "$scratch/$name.state"
    launch "$name" "$@" "$folder/mcproxy-supervisor" --config "$config" --host 127.0.0.1 --port "$port" --log \
        --runtime-dir "$scratch/$name.run" --state-dir "$scratch/$name.state" "${hardening[@]}"
}

# pids PID[,PID…]: those of them that live, and their descendants
pids() { "$bench" processes --tree "$1" | sed -n 's/.*"pids":\[\([0-9,]*\)\].*/\1/p'; }

# stop NAME: it and whatever it leaves behind; only processes that were its own descendants
stop() {
    local name=$1 root=${pid[$1]-} all left tries
    [[ -n $root ]] || return 0
    unset "pid[$name]"
    all=$(pids "$root")
    kill -TERM "$root" 2>/dev/null || true
    for ((tries = 0; tries < 80; tries++)); do
        kill -0 "$root" 2>/dev/null || break
        sleep 0.1
    done
    if kill -KILL "$root" 2>/dev/null; then say "$name did not stop on SIGTERM"; fi
    wait "$root" 2>/dev/null || true
    [[ -n $all ]] || return 0
    for ((tries = 0; tries < 10; tries++)); do
        # A server behind a gateway that has ended may need a moment to see the end of its stdin.
        left=$(pids "$all")
        [[ -n $left ]] || return 0
        sleep 0.1
    done
    say "$name left processes behind, which are killed now: $left"
    for process in ${left//,/ }; do kill -KILL "$process" 2>/dev/null || true; done
}

stop_all() {
    for name in "${!pid[@]}"; do stop "$name"; done
}

# record ROW TARGET COMMAND…: the command's JSON, or why there is none
record() {
    local row=$1 target=$2 reason=${broken[$2]-} result
    shift 2
    if [[ -z $reason ]] && ((SECONDS > limit)); then reason="no time left"; fi
    if [[ -z $reason ]]; then
        if result=$(timeout 60 "$@" 2>"$scratch/error"); then
            printf '{"row":"%s","target":"%s","result":%s}\n' "$row" "$target" "$result" >>"$results"
            return
        fi
        reason=$(short_error)
    fi
    printf '{"row":"%s","target":"%s","failed":"%s"}\n' "$row" "$target" "$reason" >>"$results"
}

# The end of the last command's stderr, fit for a JSON string.
short_error() { tail -c 400 "$scratch/error" | tr -cs '[:alnum:][:space:].,:;()/=_-' '.' | tr -s '[:space:]' ' '; }

cleanup() {
    trap - EXIT INT TERM
    stop_all
    rm -rf "$scratch"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
