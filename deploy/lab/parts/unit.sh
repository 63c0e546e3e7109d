# mcproxy.service by hand: start, calls, reload, changes of the file, stop, boot, score
# shellcheck shell=bash disable=SC2016,SC2154,SC2317 # scripts in quotes are for the machine; `deploy/test` has the variables

part_unit() {
    boot unit
    install_by_hand

    local took
    took=$(timed in_machine systemctl start mcproxy)
    [ "$took" != failed ] || { fail 'systemctl start mcproxy' "$(journal)"; return 1; }
    pass 'active' "$took"
    took=$(timed all_ready 240)
    [ "$took" != failed ] || { fail 'both servers ready' "$(journal)"; return 1; }
    pass "both servers ready$([ -e "$LAB/cache.tar" ] || echo ', fetched')" "$took"
    keep_what_was_fetched

    expect 'the journal finds the records of a server' sh_in '[ "$(journalctl -u mcproxy MCPROXY_SERVER=everything -o json --no-pager | jq -r .SYSLOG_IDENTIFIER | sort -u)" = mcproxy ]'

    local path
    for path in /mcp /sse; do
        expect "a call of the npx server on $path" call "$path" everything__echo '{"message":"hello"}'
        expect "a call of the uvx server on $path" call "$path" time__get_current_time '{"timezone":"UTC"}'
    done
    expect 'systemctl status says how many are ready' eventually 15 "systemctl show -P StatusText mcproxy | grep -F '2 of 2'"
    expect 'every process runs as mcproxy' sh_in '
        for pid in $(cat /sys/fs/cgroup/system.slice/mcproxy.service/cgroup.procs $(find /sys/fs/cgroup/system.slice/mcproxy.service -mindepth 1 -name cgroup.procs)); do
            [ "$(stat -c %U /proc/$pid)" = mcproxy ] || { ps -o user,args -p $pid; exit 1; }
        done'
    expect 'no process has a capability or can gain one' sh_in '
        for pid in $(pgrep -u mcproxy); do
            grep -q "^CapBnd:.0*$" /proc/$pid/status && grep -q "^CapEff:.0*$" /proc/$pid/status && grep -q "^NoNewPrivs:.1" /proc/$pid/status || { cat /proc/$pid/status; exit 1; }
        done'
    expect 'each server has a cgroup' sh_in '[ "$(find /sys/fs/cgroup/system.slice/mcproxy.service -name "time*" -o -name "everything*" | grep -c .)" -ge 2 ]'
    figure 'missing of the hardening' "$(sh_in "curl -m 5 -fsS $URL/health | jq -r '[.degraded[].protection] | if . == [] then \"nothing\" else join(\", \") end'")"

    expect 'systemctl reload' in_machine systemctl reload mcproxy
    sh_in "sed -i 's/\"servers\"/\"serverz\"/' /etc/mcproxy/mcp-servers.json"
    if in_machine systemctl reload mcproxy >/dev/null 2>&1; then fail 'a reload with a mistake fails'; else pass 'a reload with a mistake fails'; fi
    expect 'and the journal names it' sh_in "journalctl -u mcproxy --since -1min -o cat --no-pager | grep -F serverz"
    expect 'and the old configuration serves' call /mcp everything__echo '{"message":"hello"}'
    install -m 0644 deploy/lab/mcp-servers.json "/proc/$(cat "$LAB/$machine/pid")/root/etc/mcproxy/"
    sh_in 'cd /etc/mcproxy; jq ".servers += [.servers[1] | .name = \"second\"]" mcp-servers.json >.new; mv .new mcp-servers.json'
    expect 'a file put in place by rename is in force' eventually 60 "curl -m 5 -fsS '$URL/readyz?require=second'"
    sh_in 'cd /etc/mcproxy; jq ".servers += [{name: \"quiet\", command: \"uvx\", args: [\"--offline\", \"mcp-server-time\"], network: \"none\"}]" mcp-servers.json >.new; mv .new mcp-servers.json'
    expect 'a server without network starts' eventually 60 "curl -m 5 -fsS '$URL/readyz?require=quiet'"
    install -m 0644 deploy/lab/mcp-servers.json "/proc/$(cat "$LAB/$machine/pid")/root/etc/mcproxy/"
    expect 'and so is the next' eventually 30 "! curl -m 5 -fsS $URL/health | grep -Eq 'second|quiet'"

    took=$(timed in_machine systemctl stop mcproxy)
    pass 'stopped' "$took"
    expect 'and nothing of it is left' sh_in '! pgrep -u mcproxy'
    expect 'the stop was clean' sh_in '[ "$(systemctl show -P Result mcproxy)" = success ]'

    sh_in 'systemctl enable mcproxy' >/dev/null 2>&1
    expect 'the machine boots again' deploy/lab/machine reboot unit
    expect 'and MCProxy is active' sh_in 'systemctl is-active mcproxy'
    took=$(timed all_ready)
    pass 'and both servers are ready' "$took after the boot"
    sh_in "cp /etc/mcproxy/mcp-servers.json /root/; echo '{' >/etc/mcproxy/mcp-servers.json"
    local code=0
    in_machine systemctl restart mcproxy >/dev/null 2>&1 || code=$?
    figure 'a restart with a file that is no JSON' "$([ "$code" = 0 ] && echo 'starts from the last configuration that was in force' || echo 'fails, and is not tried again')"
    sh_in 'cp /root/mcp-servers.json /etc/mcproxy/; systemctl reset-failed mcproxy; systemctl restart mcproxy'

    expect_score mcproxy.service 2.2
}
