# an upgrade by hand while clients call, without mcproxy.socket and with it: what they notice
# shellcheck shell=bash disable=SC2016,SC2154,SC2317 # scripts in quotes are for the machine; `deploy/test` has the variables

# Replaces the programs and restarts, as deploy/README.md says.
upgrade_under_load() {
    local took
    load_begins 14
    sh_in 'cd /usr/local/bin; for program in mcproxy*; do cp "$program" "$program.new"; mv "$program.new" "$program"; done'
    took=$(timed in_machine systemctl restart mcproxy)
    load_ends >/dev/null
    pass "upgraded $1: systemctl restart" "$took"
    figure "  $(of_load '.kinds | keys | join("; ")' | cut -c1-50)" "$(summary_of_load)"
}

part_upgrade() {
    boot upgrade
    install_by_hand
    sh_in 'systemctl start mcproxy'
    all_ready 240 || { fail 'both servers ready' "$(journal)"; return 1; }
    keep_what_was_fetched
    upgrade_under_load 'without mcproxy.socket'

    sh_in 'systemctl stop mcproxy; systemctl enable --now mcproxy.socket; systemctl start mcproxy' 2>/dev/null || true
    if ! all_ready 40; then
        skip 'mcproxy.socket: these programs do not take the port from systemd'
        return
    fi
    upgrade_under_load 'with mcproxy.socket'
    expect_none_failed
    expect_is 'sessions begun anew' "$(of_load .newSessions)" 0
    expect 'a client starts MCProxy when it was stopped' sh_in "systemctl stop mcproxy && curl -m 5 -fsS $URL/healthz && systemctl is-active mcproxy"
}
