# the life of the .deb: lintian, install, configuration kept, upgrade while clients call, remove, purge
# shellcheck shell=bash disable=SC2016,SC2154,SC2317 # scripts in quotes are for the machine; `deploy/test` has the variables

part_deb() {
    compgen -G "$PACKAGES/out/mcproxy_*.deb" >/dev/null || PROGRAMS=$PROGRAMS deploy/package deb >/dev/null 2>&1 || { fail 'deploy/package deb'; return 1; }
    boot deb
    local root took
    root=/proc/$(cat "$LAB/$machine/pid")/root
    cp "$PACKAGES"/out/mcproxy_*.deb "$root/root/mcproxy.deb"
    if sh_in 'apt-get install -y --no-install-recommends lintian' >/dev/null 2>&1; then
        expect 'lintian' sh_in 'lintian --allow-root --fail-on error,warning --suppress-tags bogus-mail-host /root/mcproxy.deb'
    else
        skip 'lintian: it cannot be installed'
    fi
    took=$(timed sh_in 'apt-get install -y /root/mcproxy.deb')
    [ "$took" != failed ] || { fail 'apt-get install' "$(sh_in 'apt-get install -y /root/mcproxy.deb 2>&1 | tail -n 15')"; return 1; }
    pass 'apt-get install' "$took"
    expect 'it runs, with no servers' sh_in "systemctl is-active mcproxy && systemctl is-enabled mcproxy && curl -m 5 -fsS $URL/readyz"
    expect 'and its port is not systemd'"'"'s unless asked for' sh_in '! systemctl is-active mcproxy.socket'
    expect 'secrets are for root and mcproxy alone' sh_in '[ "$(stat -c %U:%G:%a /etc/mcproxy)" = root:mcproxy:750 ] && [ "$(stat -c %U:%a /etc/mcproxy/env)" = root:600 ]'
    expect 'manual pages' sh_in '[ -e /usr/share/man/man1/mcproxy.1.gz ] && [ -e /usr/share/man/man1/mcproxy-supervisor.1.gz ]'
    ways_to_registries
    sh_in 'cp /lab/mcp-servers.json /etc/mcproxy/mcp-servers.json; systemctl daemon-reload; systemctl restart mcproxy'
    all_ready 240 || { fail 'both servers ready' "$(journal)"; return 1; }
    keep_what_was_fetched
    expect 'a call' call /mcp everything__echo '{"message":"hello"}'
    expect 'bash completes the names of servers' sh_in '. /usr/share/bash-completion/completions/mcproxy
        COMP_WORDS=(mcproxy restart ""); COMP_CWORD=2; COMP_TYPE=9; _clap_complete_mcproxy mcproxy "" restart 2>/dev/null || true
        printf "%s\n" "${COMPREPLY[@]}" | grep -qx everything'
    if sh_in 'apt-get install -y --no-install-recommends fish zsh' >/dev/null 2>&1; then
        expect 'fish completes the names of tools' sh_in 'fish -c "complete --do-complete \"mcproxy call everything__ec\"" | grep -q ^everything__echo'
        expect 'zsh takes the script' sh_in 'zsh -n /usr/share/zsh/vendor-completions/_mcproxy'
    else
        skip 'completion in fish and zsh: they cannot be installed'
    fi

    # The same programs as a newer version.
    sh_in 'cd /root && dpkg-deb --raw-extract mcproxy.deb new && sed -i "s/^Version: .*/&.1/" new/DEBIAN/control && dpkg-deb --build --root-owner-group new newer.deb' >/dev/null
    upgrade_deb 'newer.deb' 'without mcproxy.socket'
    expect 'the changed configuration is kept' sh_in 'cmp /lab/mcp-servers.json /etc/mcproxy/mcp-servers.json'
    sh_in 'systemctl stop mcproxy; systemctl enable --now mcproxy.socket; systemctl start mcproxy' 2>/dev/null || true
    if all_ready 40; then
        sh_in 'cd /root && sed -i "s/^Version: .*/&.1/" new/DEBIAN/control && dpkg-deb --build --root-owner-group new newest.deb' >/dev/null
        upgrade_deb 'newest.deb' 'with mcproxy.socket'
        expect_none_failed
        expect_is 'sessions begun anew' "$(of_load .newSessions)" 0
    else
        sh_in 'systemctl disable --now mcproxy.socket' >/dev/null 2>&1
        skip 'upgrade with mcproxy.socket: these programs do not take the port from systemd'
    fi

    expect 'apt-get remove keeps configuration and data' sh_in 'apt-get remove -y mcproxy && [ -e /etc/mcproxy/mcp-servers.json ] && [ -d /var/lib/mcproxy ] && ! pgrep -u mcproxy'
    expect 'apt-get purge leaves nothing but the user' sh_in 'apt-get purge -y mcproxy && [ ! -e /etc/mcproxy/mcp-servers.json ] && [ ! -e /var/lib/mcproxy ] && [ ! -e /var/cache/mcproxy ]
        [ -z "$(find /etc /usr /var/lib /var/cache -xdev -name "*mcproxy*" ! -path "*/mcproxy.service.d*" ! -path "/usr/local/*" | grep -v /var/lib/systemd)" ] || { find /etc /usr /var/lib /var/cache -xdev -name "*mcproxy*"; exit 1; }'
}

upgrade_deb() {
    local took
    load_begins 16
    took=$(timed sh_in "apt-get install -y --allow-downgrades /root/$1")
    load_ends >/dev/null
    pass "apt-get install of a newer one, $2" "$took"
    figure "  $(of_load '.kinds | keys | join("; ")' | cut -c1-50)" "$(summary_of_load)"
}
