# Chromium, started by the server of Playwright, under mcproxy.service: as it is, and with the drop-in for its own sandbox
# shellcheck shell=bash disable=SC2016,SC2154,SC2317 # scripts in quotes are for the machine; `deploy/test` has the variables

# One page of MCProxy's own, as seen by the browser.
navigate() { call /mcp "$1__browser_navigate" "{\"url\":\"$URL/healthz\"}"; }

# Puts an entry for Playwright in force: its name, its arguments and further members.
configure() {
    sh_in "jq -n '{servers: [{name: \"$1\", command: \"npx\", startTimeout: 240, timeout: 120,
        args: ([\"-y\", \"@playwright/mcp@latest\", \"--headless\", \"--isolated\", \"--executable-path\", \"/usr/bin/chromium\"] + $2)} + $3]}' >/etc/mcproxy/.new
        chmod 0644 /etc/mcproxy/.new; mv /etc/mcproxy/.new /etc/mcproxy/mcp-servers.json
        systemctl daemon-reload; systemctl restart mcproxy"
    all_ready 240
}

part_browser() {
    boot browser
    if ! sh_in 'apt-get install -y --no-install-recommends chromium' >/dev/null 2>&1; then
        skip 'Chromium: it cannot be installed'
        return
    fi
    install_by_hand
    configure plain '["--no-sandbox"]' '{}' || { fail 'Playwright is ready' "$(journal)"; return 1; }
    expect 'Chromium without its own sandbox opens a page' navigate plain
    sh_in 'printf "[Service]\nRestrictNamespaces=user pid net\nSystemCallFilter=@mount chroot\n" >/etc/systemd/system/mcproxy.service.d/browser.conf'
    configure own '[]' '{sandbox: {namespaces: true}}' || { fail 'Playwright is ready' "$(journal)"; return 1; }
    expect 'Chromium with its own sandbox opens a page, with the drop-in' navigate own
    expect 'and a restart leaves its profile usable' sh_in 'systemctl restart mcproxy'
    all_ready 120
    expect 'the page again' navigate own
    expect 'a stop leaves nothing' sh_in 'systemctl stop mcproxy && ! pgrep -u mcproxy'
}
