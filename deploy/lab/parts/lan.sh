# a second machine on the same network, as deploy/README.md has it: listen, tokens, allowedHosts
# shellcheck shell=bash disable=SC2016,SC2154,SC2317 # scripts in quotes are for the machine; `deploy/test` has the variables

part_lan() {
    boot lan
    install_by_hand
    local space=mcproxy-lan other=mcproxy-laptop
    ip netns del "$other" 2>/dev/null || true
    ip netns add "$other"
    ip -n "$space" link add lan0 type veth peer name lan0 netns "$other"
    ip -n "$space" address add 198.51.100.1/24 dev lan0
    ip -n "$other" address add 198.51.100.2/24 dev lan0
    ip -n "$space" link set lan0 up
    ip -n "$other" link set lan0 up

    sh_in 'umask 077; echo LAPTOP_TOKEN=a-long-secret-of-the-laptop >/etc/mcproxy/env
        jq "{listen: \"0.0.0.0:12009\", auth: {tokens: [{name: \"laptop\", token: \"\${LAPTOP_TOKEN}\"}]}, allowedHosts: [\"server2\"]} + ." /lab/mcp-servers.json >/etc/mcproxy/mcp-servers.json
        chmod 0644 /etc/mcproxy/mcp-servers.json
        systemctl start mcproxy'
    TOKEN=a-long-secret-of-the-laptop
    eventually 240 "curl -m 5 -fsS -H 'Authorization: Bearer $TOKEN' $URL/readyz" || { fail 'both servers ready' "$(journal)"; return 1; }
    keep_what_was_fetched

    from_laptop() { ip netns exec "$other" env MCPROXY_TOKEN="$TOKEN" "$@"; }
    expect 'a call from the other machine, /sse' from_laptop python3 deploy/lab/client.py call http://198.51.100.1:12009/sse everything__echo '{"message":"x"}'
    expect 'a call from the other machine, /mcp' from_laptop python3 deploy/lab/client.py call http://198.51.100.1:12009/mcp time__get_current_time '{"timezone":"UTC"}'
    status() { ip netns exec "$other" curl -m 5 -s -o /dev/null -w '%{http_code}' "$@" http://198.51.100.1:12009/health; }
    expect_is 'without a token' "$(status)" 401
    expect_is 'with a wrong one' "$(status -H 'Authorization: Bearer wrong')" 401
    expect_is 'by a name of allowedHosts' "$(status -H "Authorization: Bearer $TOKEN" -H 'Host: server2:12009')" 200
    expect_is 'by another name' "$(status -H "Authorization: Bearer $TOKEN" -H 'Host: evil.example:12009')" 403
    expect 'the refusals are in the metrics' sh_in "curl -m 5 -fsS -H 'Authorization: Bearer $TOKEN' $URL/metrics | grep -E 'mcproxy_requests_refused_total.reason=.(credentials|host)'"
    TOKEN=''
    sh_in 'jq "del(.auth)" /etc/mcproxy/mcp-servers.json >/etc/mcproxy/.new; chmod 0644 /etc/mcproxy/.new; mv /etc/mcproxy/.new /etc/mcproxy/mcp-servers.json'
    if in_machine systemctl reload mcproxy >/dev/null 2>&1; then fail 'without auth it does not open to the network'; else pass 'without auth it does not open to the network'; fi
    ip netns del "$other"
}
