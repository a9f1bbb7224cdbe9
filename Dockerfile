# Berth's container: one virtual machine and the launcher that looks after it.
#
#   podman build --tag localhost/berth:0.1.0 .
#   docker buildx build --tag localhost/berth:0.1.0 --load .
#
# Python's libraries are built from the locks in stages of their own, so that neither a compiler nor
# pip is in the result. What changes seldom comes first: a change of the launcher alone rebuilds the
# last layer.

# A release names it by its digest: --build-arg BASE=debian:trixie-slim@sha256:...
ARG BASE=debian:trixie-slim

# --- Libraries: exactly those of the lock, in a virtual environment that moves as a whole -------

# hadolint ignore=DL3006
FROM ${BASE} AS libraries

# ca-certificates: pip trusts the package index by them.
# libpython3-dev, gcc, libc6-dev: python-iptables has a part in C and comes as source only.
# python3-venv: virtual environments, and pip in the one that builds.
# hadolint ignore=DL3008,DL3009
RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
        ca-certificates \
        gcc \
        libc6-dev \
        libpython3-dev \
        python3-venv

# For what writes a date: 2026-01-01.
ARG SOURCE_DATE_EPOCH=1767225600
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
COPY lock/ /build/lock/
# Built by what is pinned, not by today's latest: hence no build isolation. Without -g0 the debugging
# symbols would name a temporary folder, another one in each build.
RUN python3 -m venv /build/venv \
    && /build/venv/bin/pip install --require-hashes --requirement /build/lock/build.txt \
    && CFLAGS=-g0 /build/venv/bin/pip wheel --wheel-dir /build/wheels \
        --require-hashes --no-build-isolation --use-pep517 --requirement /build/lock/launcher.txt

# From here on nothing is fetched. The hashes were for what came from outside; the wheel that was
# built here has none in the lock.
# Bytecode is taken as it is, whatever the time stamps of its source: builders may change those, and
# compiling anew would cost two seconds at each start.
# No commands but Python itself, and no debugging symbols: they are half of all that is installed.
RUN python3 -m venv --without-pip /opt/berth \
    && sed --regexp-extended '/^[ #]/d; s/ *\\$//' /build/lock/launcher.txt >/build/pins.txt \
    && /build/venv/bin/pip --python /opt/berth/bin/python install --no-compile \
        --no-index --find-links /build/wheels --no-deps --requirement /build/pins.txt \
    && find /opt/berth/bin -type f -delete \
    && find /opt/berth/lib -name '*.so' -exec strip --strip-debug {} + \
    && /opt/berth/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/berth/lib

# --- The launcher itself, as it lies over the libraries -----------------------------------------

FROM libraries AS launcher

COPY LICENSE README.md pyproject.toml /build/source/
COPY launcher/ /build/source/launcher/
RUN /build/venv/bin/pip wheel --wheel-dir /build/wheels \
        --no-index --no-build-isolation --no-deps /build/source \
    && /build/venv/bin/pip --python /opt/berth/bin/python install --no-compile --root /build/root \
        --no-index --find-links /build/wheels --no-deps berth \
    && /opt/berth/bin/python -m compileall -q --invalidation-mode unchecked-hash \
        -s /build/root /build/root/opt/berth/lib

# --- The image ----------------------------------------------------------------------------------

# hadolint ignore=DL3006
FROM ${BASE}

ARG SOURCE_DATE_EPOCH=1767225600

# QEMU's own user. 107 is what KubeVirt gives it too, so volumes of both look alike.
RUN groupadd --gid 107 qemu \
    && useradd --uid 107 --gid qemu --no-create-home --home-dir / --shell /usr/sbin/nologin qemu

# dnsmasq-base     the VM gets its address from it by DHCP
# iptables         its libraries: NAT on nodes whose kernel has no nf_tables
# kmod             modprobe, which python-iptables calls when it is imported
# nftables         NAT everywhere else
# python3          runs the launcher
# qemu-system-x86  the machine. What it merely recommends stays out: screens and sound of a desktop,
#                  and qemu-block-extra, by which QEMU would follow an image's own http, ssh or
#                  iSCSI references
# qemu-utils       qemu-img makes disks, and looks into images before QEMU does
# tini             PID 1: reaps what a `kubectl exec` leaves behind, and hands on signals
# setpriv and prlimit come with util-linux, which every Debian has.
#
# Of these packages, programs that nobody calls here and firmware of other processors stay out: a
# quarter of the image. Removed is what differs from build to build: logs, lists, caches.
# hadolint ignore=DL3008
RUN printf 'path-exclude=%s\n' \
        '/usr/bin/qemu-io' \
        '/usr/bin/qemu-nbd' \
        '/usr/bin/qemu-storage-daemon' \
        '/usr/bin/qemu-system-i386' \
        '/usr/bin/qemu-system-x86_64-microvm' \
        '/usr/share/qemu/hppa-*' \
        '/usr/share/qemu/openbios-*' \
        '/usr/share/qemu/skiboot.lid' \
        '/usr/share/qemu/slof.bin' \
        '/usr/share/qemu/u-boot*' \
        >/etc/dpkg/dpkg.cfg.d/berth \
    && apt-get update \
    && apt-get install --yes --no-install-recommends \
        dnsmasq-base \
        iptables \
        kmod \
        nftables \
        python3 \
        qemu-system-x86 \
        qemu-utils \
        tini \
    && python3 -m compileall -q -f --invalidation-mode unchecked-hash /usr/lib/python3* \
    && apt-get clean \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/debconf/*-old \
        /var/cache/ldconfig/aux-cache /var/lib/dpkg/*-old /var/log/apt /var/log/*.log

COPY --from=libraries /opt/berth/ /opt/berth/
COPY --from=launcher /build/root/opt/berth/ /opt/berth/

ENV PATH=/opt/berth/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    QEMU_USER=qemu

# No VOLUME: an anonymous one would hide that /pet was forgotten, and with it a pet would go when
# its container goes; and /image alone could no longer be told from /shared and /pet.

# The screen. All other ports, of every protocol, are the VM's.
EXPOSE 5900/tcp

# SIGTERM: the launcher shuts the guest down.
STOPSIGNAL SIGTERM

ENTRYPOINT ["tini", "--", "startvm"]

# The version is launcher/__init__.py's; a test compares them.
ARG VERSION=0.1.0
ARG REVISION=
ARG SOURCE=
LABEL org.opencontainers.image.title="Berth" \
    org.opencontainers.image.description="Runs any virtual machine as an ordinary Kubernetes pod" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}" \
    org.opencontainers.image.source="${SOURCE}" \
    org.opencontainers.image.licenses="Apache-2.0"
