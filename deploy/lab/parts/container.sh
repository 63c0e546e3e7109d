# the image (full and slim), the quadlet: start, calls, kills, reload, stop, an update that is broken
# shellcheck shell=bash disable=SC2016,SC2154,SC2317 # scripts in quotes are for the machine; `deploy/test` has the variables

# A base image that nothing has to be pulled for: Debian 13 by debootstrap.
make_base_image() {
    [ ! -e "$LAB/slim.tar" ] || return 0
    local base=$LAB/slim
    debootstrap --variant=minbase --include=ca-certificates trixie "$base" >"$LAB/slim.log" 2>&1
    cp /usr/local/share/ca-certificates/*.crt "$base/usr/local/share/ca-certificates/" 2>/dev/null || true
    chroot "$base" update-ca-certificates >/dev/null 2>&1
    rm -rf "$base"/var/cache/apt/archives/*.deb
    tar -C "$base" -cf "$LAB/slim.tar" .
    rm -rf "$base"
}

# Builds the image in the machine, of the programs that are being tried; or loads what was built of the same files before.
build_image() {
    local root program key took
    root=/proc/$(cat "$LAB/$machine/pid")/root
    key=$(cat deploy/Containerfile deploy/mcp-servers.json "${ALL_PROGRAMS[@]/#/$PROGRAMS/}" | sha256sum | cut -c 1-16)
    if [ -e "$LAB/image-$key.tar" ]; then
        cp "$LAB/image-$key.tar" "$root/root/image.tar"
        took=$(timed in_machine podman load --quiet --input /root/image.tar)
        rm "$root/root/image.tar"
        [ "$took" != failed ] || { fail 'podman load'; return 1; }
        figure 'the image was built of the same files before: podman load' "$took"
        return
    fi
    mkdir -p "$root/root/src" "$root/root/programs"
    cp -r deploy "$root/root/src/"
    for program in "${ALL_PROGRAMS[@]}"; do strip -o "$root/root/programs/$program" "$PROGRAMS/$program"; done
    cp "$LAB/slim.tar" "$root/root/"
    sh_in 'podman import --quiet --change "ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt" /root/slim.tar localhost/base && rm /root/slim.tar' >/dev/null
    local arguments="--build-arg BASE=localhost/base --build-context programs=/root/programs -f /root/src/deploy/Containerfile --format docker --quiet"
    took=$(timed sh_in "podman build $arguments -t localhost/mcproxy /root/src >/root/build.log 2>&1")
    [ "$took" != failed ] || { fail 'podman build' "$(sh_in 'tail -n 20 /root/build.log')"; return 1; }
    pass 'podman build, with programs that are built already' "$took"
    took=$(timed sh_in "podman build $arguments --target slim -t localhost/mcproxy:slim /root/src")
    if [ "$took" = failed ]; then fail 'podman build --target slim'; else pass 'podman build --target slim' "$took"; fi
    took=$(timed sh_in "podman build $arguments -t localhost/mcproxy /root/src")
    figure 'podman build again, nothing changed' "$took"
    figure 'sizes: full, slim, base' "$(sh_in 'podman images --format "{{.Repository}}:{{.Tag}} {{.Size}}" | sort | tr "\n" ";"')"
    rm -f "$LAB"/image-*.tar
    sh_in 'podman save --quiet --output /root/image.tar localhost/mcproxy localhost/mcproxy:slim'
    mv "$root/root/image.tar" "$LAB/image-$key.tar"
}

inside() { in_machine podman exec mcproxy "$@"; }
inspect() { in_machine podman inspect --format "$1" mcproxy; }

part_container() {
    if [ ! -e "$LAB/slim.tar" ] && ! command -v debootstrap >/dev/null; then
        skip 'the image: there is no debootstrap for its base'
        return
    fi
    make_base_image
    boot podman
    build_image || return 1

    local root
    root=/proc/$(cat "$LAB/$machine/pid")/root
    install -D -m 0640 -g 10001 deploy/mcp-servers.json "$root/etc/mcproxy/mcp-servers.json"
    # No controllers of cgroups here, so no limit of processes.
    install -D -m 0644 deploy/mcproxy.container "$root/etc/containers/systemd/mcproxy.container"
    mkdir -p "$root/etc/containers/systemd/mcproxy.container.d"
    printf '[Container]\nPidsLimit=0\n' >"$root/etc/containers/systemd/mcproxy.container.d/lab.conf"
    sh_in 'systemctl daemon-reload'
    local took
    took=$(timed in_machine systemctl start mcproxy)
    [ "$took" != failed ] || { fail 'the quadlet starts' "$(journal 30)"; return 1; }
    pass 'the quadlet is active' "$took"
    took=$(timed all_ready 300)
    [ "$took" != failed ] || { fail 'both servers ready' "$(journal 30)"; return 1; }
    pass 'both servers ready, fetched' "$took"
    expect 'a call of the npx server on /mcp' call /mcp everything__echo '{"message":"hello"}'
    expect 'a call of the uvx server on /sse' call /sse time__get_current_time '{"timezone":"UTC"}'
    expect 'systemctl status says how many are ready' eventually 15 "systemctl show -P StatusText mcproxy | grep -F '2 of 2'"
    expect_is 'user' "$(inspect '{{.Config.User}}')" mcproxy
    expect_is 'root file system is read-only' "$(inspect '{{.HostConfig.ReadonlyRootfs}}')" true
    expect_is 'capabilities' "$(inspect '{{len .EffectiveCaps}} {{len .BoundingCaps}}')" '0 0'
    expect 'no process can gain privileges' inside sh -c 'for p in /proc/[0-9]*/status; do grep -q "^NoNewPrivs:.1" $p && grep -q "^CapBnd:.0*$" $p || exit 1; done'
    expect 'the image cannot be changed' inside sh -c '! touch /usr/local/bin/x 2>/dev/null && touch /tmp/x /var/cache/mcproxy/x'
    expect 'podman finds it healthy' in_machine podman healthcheck run mcproxy
    expect 'and the status by podman exec' inside mcproxy status

    expect 'systemctl reload' in_machine systemctl reload mcproxy
    sh_in "cd /etc/mcproxy; sed 's/\"servers\"/\"serverz\"/' mcp-servers.json >.new; chgrp 10001 .new; chmod 0640 .new; cp -p mcp-servers.json /root/; mv .new mcp-servers.json"
    if in_machine systemctl reload mcproxy >/dev/null 2>&1; then fail 'a reload with a mistake fails'; else pass 'a reload with a mistake fails'; fi
    sh_in 'cp -p /root/mcp-servers.json /etc/mcproxy/.new; mv /etc/mcproxy/.new /etc/mcproxy/mcp-servers.json; systemctl reload mcproxy'

    if deploy/packaging/sbom.py --machine "$(uname -m)" --image localhost/mcproxy --podman "$here/lab/machine in podman podman" --out "$LAB/image.cdx.json" >/dev/null; then
        pass 'bill of materials of the image: deb, npm, pypi, cargo' \
            "$(jq -r '[.components[].purl | capture("^pkg:(?<kind>[a-z]+)").kind] | [("deb", "npm", "pypi", "cargo") as $kind | map(select(. == $kind)) | length] | join(", ")' "$LAB/image.cdx.json")"
    else
        fail 'bill of materials of the image'
    fi

    local target begin
    for target in mcproxy-worker mcproxy-gateway mcproxy-supervi conmon; do
        load_begins 12
        begin=$(milliseconds)
        sh_in "kill -KILL \$(pgrep -x $target | head -n 1)"
        sleep 0.3
        if eventually 60 "curl -m 5 -fsS $URL/readyz && python3 /lab/client.py call $URL/mcp everything__echo '{\"message\":\"x\"}'"; then
            pass "$target was killed: calls are answered again" "$(($(milliseconds) - begin)) ms"
        else
            fail "$target was killed: calls are answered again" "$(journal)"
        fi
        load_ends >/dev/null
        figure "  $(of_load '.kinds | keys | join("; ")' | cut -c1-50)" "$(summary_of_load)"
    done

    load_begins 16
    took=$(timed in_machine systemctl restart mcproxy)
    load_ends >/dev/null
    pass 'systemctl restart while clients call' "$took"
    figure "  $(of_load '.kinds | keys | join("; ")' | cut -c1-50)" "$(summary_of_load)"

    # The port held by systemd, and handed through podman.
    install -m 0644 deploy/mcproxy.socket "$root/etc/systemd/system/mcproxy.socket"
    printf '[Container]\nPublishPort=\n' >"$root/etc/containers/systemd/mcproxy.container.d/socket.conf"
    sh_in 'systemctl stop mcproxy; systemctl daemon-reload; systemctl start mcproxy.socket; systemctl start mcproxy' 2>/dev/null || true
    if all_ready 60; then
        load_begins 16
        took=$(timed in_machine systemctl restart mcproxy)
        load_ends >/dev/null
        pass 'systemctl restart while clients call, with mcproxy.socket' "$took"
        figure "  $(of_load '.kinds | keys | join("; ")' | cut -c1-50)" "$(summary_of_load)"
        expect_none_failed
    else
        fail 'the quadlet serves at mcproxy.socket' "$(journal)"
    fi
    rm "$root/etc/containers/systemd/mcproxy.container.d/socket.conf"
    sh_in 'systemctl stop mcproxy.socket mcproxy; rm /etc/systemd/system/mcproxy.socket; systemctl daemon-reload; systemctl start mcproxy'
    all_ready 60 || { fail 'the quadlet starts again' "$(journal)"; return 1; }

    # An image whose MCProxy does not start.
    sh_in 'podman tag localhost/mcproxy localhost/mcproxy:good
        printf "FROM localhost/mcproxy:good\nENTRYPOINT [\"false\"]\n" | podman build --quiet --format docker -t localhost/mcproxy -f - /tmp' >/dev/null
    local words
    words=$(in_machine podman auto-update --format '{{.Unit}} {{.Updated}}' 2>&1 || true)
    case $words in
    *'rolled back'*) pass 'podman auto-update returns from a broken image' ;;
    *) fail 'podman auto-update returns from a broken image' "$words" ;;
    esac
    expect 'and it serves' all_ready 60
    sh_in 'podman tag localhost/mcproxy:good localhost/mcproxy'

    # A user for each server, with the five capabilities.
    printf '[Container]\nAddCapability=CAP_SETUID CAP_SETGID CAP_SETPCAP CAP_KILL CAP_CHOWN\n' >"$root/etc/containers/systemd/mcproxy.container.d/users.conf"
    sh_in 'jq ". + {hardening: \"best-effort\"}" /root/mcp-servers.json >/etc/mcproxy/.new; chgrp 10001 /etc/mcproxy/.new; chmod 0640 /etc/mcproxy/.new
        mv /etc/mcproxy/.new /etc/mcproxy/mcp-servers.json; systemctl daemon-reload; systemctl restart mcproxy'
    if all_ready 240; then
        expect_is 'with five capabilities: users of supervisor, gateway and servers' "$(inside sh -c 'cat /proc/[0-9]*/status' | awk '/^Name:.*(mcproxy|node|python)/ { name = 1 } /^Uid:/ && name { print $2; name = 0 }' | sort -u | grep -c .)" 4
        expect 'a call' call /mcp everything__echo '{"message":"hello"}'
    else
        fail 'with five capabilities: both servers ready' "$(journal)"
    fi
    rm "$root/etc/containers/systemd/mcproxy.container.d/users.conf"
    sh_in 'systemctl daemon-reload'

    sh_in "echo '{' >/etc/mcproxy/.new; chgrp 10001 /etc/mcproxy/.new; chmod 0640 /etc/mcproxy/.new; mv /etc/mcproxy/.new /etc/mcproxy/mcp-servers.json"
    local code=0
    in_machine systemctl restart mcproxy >/dev/null 2>&1 || code=$?
    figure 'a restart with a file that is no JSON' "$([ "$code" = 0 ] && echo 'starts from the last configuration that was in force' || echo 'fails, and is not tried again')"
    sh_in 'cp -p /root/mcp-servers.json /etc/mcproxy/; systemctl reset-failed mcproxy; systemctl restart mcproxy'
    took=$(timed in_machine systemctl stop mcproxy)
    pass 'stopped' "$took"
    expect 'and nothing of it is left' sh_in '! pgrep -x mcproxy-supervi && [ -z "$(podman ps -aq)" ]'
}
