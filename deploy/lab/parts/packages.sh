# tarball, npm package, wheel and rpm on a bare machine: installed by their ordinary clients, and doing the main job
# shellcheck shell=bash disable=SC2016,SC2154,SC2317 # scripts in quotes are for the machine; `deploy/test` has the variables

# The main job, with programs that `$1` puts before `mcproxy…`: serve a file, answer a call, stop.
main_job() {
    local how=$1
    sh_in "cd /root && cp /lab/mcp-servers.json main.json && export MCPROXY_RUNTIME_DIR=/tmp/main && mkdir -p /tmp/main && chmod 0700 /tmp/main
        ($how mcproxy-supervisor --config main.json --port 12019 --state-dir /tmp/main-state --log >/tmp/main.log 2>&1; echo \$? >/tmp/main.code) &
        until curl -m 5 -fsS 'http://127.0.0.1:12019/readyz' >/dev/null 2>&1; do [ \$SECONDS -lt 240 ] || { tail -n 20 /tmp/main.log; exit 1; }; sleep 0.2; done
        python3 /lab/client.py call http://127.0.0.1:12019/mcp everything__echo '{\"message\":\"x\"}'
        $how mcproxy status
        $how mcproxy stop
        wait; grep -qx 0 /tmp/main.code"
}

build_packages() {
    local output
    if output=$(PROGRAMS=$PROGRAMS deploy/package 2>&1); then pass 'deploy/package builds them all'; else fail 'deploy/package' "$(tail -n 15 <<<"$output")"; return 1; fi
    while read -r size name; do figure "  $name" "$((size / 1024)) KiB"; done < <(find "$PACKAGES/out" -type f -printf '%s %f\n' | sort -k 2)
    figure 'glibc that the programs need' "$(cat "$PACKAGES/glibc")"
    figure 'packages in the bill of materials' "$(jq '.components | length' "$PACKAGES"/out/mcproxy-*.cdx.json)"
}

part_packages() {
    build_packages || return 1
    boot packs
    local root
    root=/proc/$(cat "$LAB/$machine/pid")/root
    cp -r "$PACKAGES/out" "$root/root/out"
    expect 'checksums' sh_in 'cd /root/out && sha256sum --check --quiet SHA256SUMS'
    ways='SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt'

    expect 'tarball: unpacked and run' sh_in 'mkdir /opt/mcproxy && tar -xJf /root/out/mcproxy-*-linux-*[^g].tar.xz -C /opt/mcproxy --strip-components 1 && [ ! -e /opt/mcproxy/mcproxy.debug ]'
    expect 'tarball: the main job' main_job "env $ways PATH=/opt/mcproxy/bin:\$PATH"
    expect 'npm: installed' sh_in 'npm install --silent --global --prefix /opt/npm /root/out/mcproxy-*.tgz'
    expect 'npm: the main job' main_job "env $ways PATH=/opt/npm/bin:\$PATH"
    expect 'npm: npx runs it from the file' sh_in 'cd /tmp && npx --yes --package /root/out/mcproxy-*.tgz mcproxy --version'
    expect 'wheel: uvx runs it from the file' sh_in "export $ways; uvx --from /root/out/mcproxy-*.whl mcproxy --version"
    expect 'wheel: the main job' main_job "env $ways uvx --from \$(echo /root/out/mcproxy-*.whl)"
    expect 'wheel: pip installs it' sh_in 'python3 -m venv /opt/venv && /opt/venv/bin/pip install --quiet --no-index /root/out/mcproxy-*.whl && /opt/venv/bin/mcproxy --version'
    if sh_in 'apt-get install -y --no-install-recommends rpm' >/dev/null 2>&1; then
        expect 'rpm: what it needs is glibc and systemd' sh_in '! rpm -qp --requires /root/out/*.rpm 2>/dev/null | grep -Ev "^(/bin/sh|systemd|rpmlib|config|lib(c|m|dl|pthread|rt|gcc_s)\.so|ld-linux|rtld)"'
        expect 'rpm: installed (dependencies left out, this is Debian)' sh_in 'rpm -i --nodeps /root/out/*.rpm && id mcproxy && [ "$(stat -c %a:%G /etc/mcproxy)" = 750:mcproxy ]'
        ways_to_registries
        sh_in 'cp /lab/mcp-servers.json /etc/mcproxy/'
        expect 'rpm: the unit starts' in_machine systemctl start mcproxy
        expect 'rpm: both servers ready' all_ready 240
        expect 'rpm: removed, and what was changed is kept' sh_in 'rpm -e mcproxy && ! pgrep -u mcproxy && [ -e /etc/mcproxy/mcp-servers.json.rpmsave ] && [ ! -e /usr/bin/mcproxy ]'
    else
        skip 'rpm: it cannot be installed'
    fi
}
