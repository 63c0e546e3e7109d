# the quadlet as a user's service, without root
# shellcheck shell=bash disable=SC2016,SC2154,SC2317 # scripts in quotes are for the machine; `deploy/test` has the variables

as_op() {
    in_machine runuser -u op -- env -C /home/op HOME=/home/op XDG_RUNTIME_DIR=/run/user/1000 DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/1000/bus \
        bash -euo pipefail -c "$1"
}

part_rootless() {
    if ! compgen -G "$LAB/image-*.tar" >/dev/null; then
        skip 'the quadlet of a user: needs the image, see the part `container`'
        return
    fi
    boot rootless
    local root took
    root=/proc/$(cat "$LAB/$machine/pid")/root
    sh_in 'useradd --create-home --uid 1000 op; loginctl enable-linger op
        install -d -o op -g op /var/lib/containers/op /home/op/.config /home/op/.config/containers /home/op/.config/containers/systemd \
            /home/op/.config/containers/systemd/mcproxy.container.d /home/op/.config/mcproxy
        printf "[storage]\ndriver = \"overlay\"\ngraphroot = \"/var/lib/containers/op\"\n" >/home/op/.config/containers/storage.conf'
    eventually 20 '[ -S /run/user/1000/bus ]' || { fail 'the manager of the user runs'; return 1; }
    cp "$LAB"/image-*.tar "$root/var/lib/containers/image.tar"
    chmod 0644 "$root/var/lib/containers/image.tar"
    took=$(timed as_op 'podman load --quiet --input /var/lib/containers/image.tar')
    [ "$took" != failed ] || { fail 'podman load as a user' "$(as_op 'podman load --quiet --input /var/lib/containers/image.tar' 2>&1 | tail -n 5)"; return 1; }
    figure 'podman load as a user' "$took"
    sed 's/^#UserNS=/UserNS=/' deploy/mcproxy.container >"$root/home/op/.config/containers/systemd/mcproxy.container"
    printf '[Container]\nPidsLimit=0\n' >"$root/home/op/.config/containers/systemd/mcproxy.container.d/lab.conf"
    install -m 0600 deploy/mcp-servers.json "$root/home/op/.config/mcproxy/mcp-servers.json"
    sh_in 'chown -R op:op /home/op/.config'
    as_op 'systemctl --user daemon-reload'
    took=$(timed as_op 'systemctl --user start mcproxy')
    [ "$took" != failed ] || { fail 'systemctl --user start mcproxy' "$(as_op 'journalctl --user -u mcproxy -n 20 -o cat --no-pager' 2>&1)"; return 1; }
    pass 'active' "$took"
    expect 'both servers ready, with a configuration that only the user reads' all_ready 300
    expect 'a call' call /mcp everything__echo '{"message":"hello"}'
    expect 'systemctl --user reload' as_op 'systemctl --user reload mcproxy'
    expect 'healthy' as_op 'podman healthcheck run mcproxy'
    expect 'a stop leaves nothing' as_op 'systemctl --user stop mcproxy && ! pgrep -x mcproxy-supervi'
}
