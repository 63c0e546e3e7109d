# kill -9 of a server, its worker, the gateway and the supervisor, and a supervisor that hangs; what clients notice, and when all is well again
# shellcheck shell=bash disable=SC2016,SC2154,SC2317 # scripts in quotes are for the machine; `deploy/test` has the variables

# The process that a path in the status names.
pid_in_status() { sh_in "curl -m 5 -fsS $URL/health | jq -r '$1'"; }

# Kills while clients call, and says what came of it.
kill_under_load() {
    local what=$1 where=$2 pid begin answers
    load_begins 12
    pid=$(pid_in_status "$where")
    begin=$(milliseconds)
    in_machine kill -KILL "$pid"
    # Recovered: both servers are ready and a call is answered, by other processes than before.
    if answers=$(eventually 60 "[ ! -e /proc/$pid ] && curl -m 5 -fsS $URL/readyz && python3 /lab/client.py call $URL/mcp everything__echo '{\"message\":\"x\"}'"); then
        pass "$what was killed: calls are answered again" "$(($(milliseconds) - begin)) ms"
    else
        fail "$what was killed: calls are answered again" "$answers"
    fi
    load_ends >/dev/null
    figure "  $(of_load '.kinds | keys | join("; ")' | cut -c1-50)" "$(summary_of_load)"
}

part_kills() {
    boot kills
    install_by_hand
    sh_in 'systemctl start mcproxy'
    all_ready 240 || { fail 'both servers ready' "$(journal)"; return 1; }
    keep_what_was_fetched

    kill_under_load 'the server' '.servers[] | select(.name == "everything") | .serverPid'
    kill_under_load 'its worker' '.servers[] | select(.name == "everything") | .workerPid'
    kill_under_load 'the gateway' '.gateway.pid'
    kill_under_load 'the supervisor' '.supervisor.pid'
    expect 'no process of an earlier run is left' sh_in '
        [ "$(pgrep -c -x mcproxy-supervi)" = 1 ] && [ "$(pgrep -c -x mcproxy-gateway)" = 1 ] && [ "$(pgrep -c -x mcproxy-worker)" = 2 ] || { ps -eo pid,ppid,user,args; exit 1; }'
    expect 'systemd started it anew once' sh_in '[ "$(systemctl show -P NRestarts mcproxy)" = 1 ]'

    # WatchdogSec= is a minute; a test need not wait so long.
    sh_in 'printf "[Service]\nWatchdogSec=5\n" >/etc/systemd/system/mcproxy.service.d/watchdog.conf; systemctl daemon-reload; systemctl restart mcproxy'
    all_ready
    local pid begin
    pid=$(pid_in_status '.supervisor.pid')
    begin=$(milliseconds)
    in_machine kill -STOP "$pid"
    if eventually 60 "[ ! -e /proc/$pid ] && curl -m 5 -fsS $URL/readyz"; then
        pass 'a supervisor that hangs is replaced (watchdog of 5 s)' "$(($(milliseconds) - begin)) ms"
    else
        fail 'a supervisor that hangs is replaced' "$(journal)"
    fi
    expect 'a stop leaves nothing' sh_in 'systemctl stop mcproxy && ! pgrep -u mcproxy'
}
