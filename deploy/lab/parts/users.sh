# mcproxy-users.conf: five capabilities, and a user for the gateway and for each server
# shellcheck shell=bash disable=SC2016,SC2154,SC2317 # scripts in quotes are for the machine; `deploy/test` has the variables

part_users() {
    boot users
    install_by_hand
    install -m 0644 deploy/mcproxy-users.conf "/proc/$(cat "$LAB/$machine/pid")/root/etc/systemd/system/mcproxy.service.d/users.conf"
    sh_in 'jq ". + {hardening: \"best-effort\"}" /etc/mcproxy/mcp-servers.json >/etc/mcproxy/.new; mv /etc/mcproxy/.new /etc/mcproxy/mcp-servers.json
        chgrp mcproxy /etc/mcproxy/mcp-servers.json; chmod 0640 /etc/mcproxy/mcp-servers.json
        systemctl daemon-reload; systemctl start mcproxy'
    # With homes of their own servers fetch their packages for themselves.
    all_ready 300 || { fail 'both servers ready' "$(journal 30)"; return 1; }
    expect 'a call of the npx server' call /mcp everything__echo '{"message":"hello"}'
    expect 'a call of the uvx server' call /sse time__get_current_time '{"timezone":"UTC"}'
    expect_is 'users of supervisor, gateway and servers' "$(sh_in "curl -m 5 -fsS $URL/health | jq -r '.supervisor.pid, .gateway.pid, .servers[].serverPid' | xargs -n 1 ps -o user= -p | sort -u | grep -c .")" 4
    expect_is 'missing of the hardening' "$(sh_in "curl -m 5 -fsS $URL/health | jq -r '[.degraded[].protection] - [\"cgroups\"] | if . == [] then \"nothing\" else join(\", \") end'")" nothing
    expect 'mcproxy doctor security' sh_in 'mcproxy doctor security >/tmp/doctor 2>&1 || { cat /tmp/doctor; grep -q cgroup /tmp/doctor; }'
    figure 'capabilities of the supervisor' "$(sh_in "grep CapPrm /proc/\$(pgrep -x mcproxy-supervi)/status | tr '\t' ' '")"
    figure 'and of all others' "$(sh_in "for pid in \$(pgrep 'mcproxy-gateway|mcproxy-worker|node|python'); do grep -h CapPrm /proc/\$pid/status; done | sort -u | tr '\t\n' '  '")"
    expect 'a restart' sh_in 'systemctl restart mcproxy'
    expect 'and all are ready again' all_ready
    expect 'a stop leaves nothing' sh_in 'systemctl stop mcproxy && ! pgrep mcproxy && ! pgrep -f "[s]erver-everything"'
    expect_score mcproxy.service 3.0
}
