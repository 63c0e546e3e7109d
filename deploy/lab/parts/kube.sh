# mcproxy-kube.yaml: its schema, and a start by podman kube play
# shellcheck shell=bash disable=SC2016,SC2154,SC2317 # scripts in quotes are for the machine; `deploy/test` has the variables

part_kube() {
    if [ ! -e "$LAB/slim.tar" ]; then
        skip 'podman kube play: needs the image, see the part `container`'
        return
    fi
    # shellcheck source=deploy/lab/parts/container.sh
    declare -F build_image >/dev/null || . deploy/lab/parts/container.sh
    boot kube
    build_image >/dev/null || { fail 'the image'; return 1; }
    # No controllers of cgroups here, so no limit of memory.
    grep -Ev '^ +(resources:|requests: \{ cpu|limits:)' deploy/mcproxy-kube.yaml >"/proc/$(cat "$LAB/$machine/pid")/root/root/mcproxy-kube.yaml"
    sed -i '/accessModes/a\  resources: { requests: { storage: 1Gi } }' "/proc/$(cat "$LAB/$machine/pid")/root/root/mcproxy-kube.yaml"
    local took
    took=$(timed sh_in 'podman kube play --network host /root/mcproxy-kube.yaml >/tmp/play.log 2>&1')
    [ "$took" != failed ] || { fail 'podman kube play' "$(sh_in 'cat /tmp/play.log')"; return 1; }
    pass 'podman kube play' "$took"
    expect 'both servers ready' all_ready 300
    expect 'a call' call /mcp everything__echo '{"message":"hello"}'
    local name
    name=$(sh_in 'podman ps --format "{{.Names}}" | grep -v infra | head -n 1')
    expect 'healthy by the probe' eventually 60 "podman healthcheck run $name"
    expect_is 'user and read-only root' "$(in_machine podman inspect --format '{{.Config.User}} {{.HostConfig.ReadonlyRootfs}}' "$name")" '10001:10001 true'
    expect 'podman kube down' sh_in 'podman kube down /root/mcproxy-kube.yaml && ! pgrep -x mcproxy-supervi'
}
