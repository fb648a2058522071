#!/bin/sh
# Installs the programs that tests open, store and validate with, where root and apt may.
# With --required it fails if one is missing in the end; without, their tests are skipped and named.
set -u
programs='chromium firefox-esr Orthanc storescu dciodvfy'
packages='chromium firefox-esr orthanc orthanc-dicomweb dcmtk dicom3tools'
dicomweb=/usr/share/orthanc/plugins/libOrthancDicomWeb.so
PATH=$PATH:/usr/sbin

missing() {
    for program in $programs; do
        command -v "$program" >/dev/null || printf ' %s' "$program"
    done
    [ -e $dicomweb ] || printf ' orthanc-dicomweb'
}

if [ -n "$(missing)" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing Debian packages for the tests: $packages"
    # The archive is started by its test alone, never as a service of the machine.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' >$policy && chmod +x $policy
        trap 'rm -f $policy' EXIT
    fi
    export DEBIAN_FRONTEND=noninteractive
    options='-qq -o Acquire::Retries=2 -o Acquire::http::Timeout=30'
    { apt-get $options update && apt-get $options install -y --no-install-recommends $packages; } \
        >/dev/null || echo 'the packages could not be installed'
fi

if [ -n "$(missing)" ]; then
    echo "missing:$(missing); their tests are skipped. To run them: apt-get install $packages"
    [ "${1-}" != --required ]
fi
