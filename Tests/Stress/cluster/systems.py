"""Shared file systems: a server, and what mounts it on a host."""

import os
import subprocess
import time
import uuid


def ready(host, path):
    """Waits until a file there takes bytes."""
    end = time.monotonic() + 60
    while host.run('f="$1/.probe-$HOSTNAME"; head -c 1000000 /dev/zero > "$f" && sync "$f" && rm "$f"', path, check=False).returncode:
        if time.monotonic() > end:
            raise SystemExit(f"{path} takes no bytes")
        time.sleep(0.5)


class Cluster:
    """What is the same for all that are real: a link is cut, and a disk is filled by a file."""

    def cut(self, host):
        host.cut()

    def join(self, host):
        host.join()

    def fill(self):
        """Leaves no room on the server's disks."""
        for disk in self.disks:
            self.server.run('dd if=/dev/zero of="$1/ballast" bs=64k status=none || true', disk)

    def empty(self):
        for disk in self.disks:
            self.server.run('rm -f "$1/ballast"', disk)
        # GlusterFS looks every few seconds only.
        for host in self.hosts:
            ready(host, host.shared)


class Gluster(Cluster):
    """GlusterFS of Debian: one server with two bricks, over which names are spread."""

    def __init__(self, server, size):
        self.server = server
        self.disks = [f"{server.home}/brick1", f"{server.home}/brick2"]
        server.run(f"""set -e
            for directory in /var/lib/glusterd /var/log/glusterfs /bricks; do mkdir -p $directory; done
            mount -t tmpfs gd /var/lib/glusterd; mount -t tmpfs gl /var/log/glusterfs
            mkdir -p /run/gluster {server.home}/brick1 {server.home}/brick2
            for brick in 1 2; do mount -t tmpfs -o size={size} brick {server.home}/brick$brick; mkdir {server.home}/brick$brick/b; done""")
        self.daemon = server.spawn("glusterd", "-N", "--log-file", f"{server.home}/glusterd.log", log="glusterd.out")
        end = time.monotonic() + 60
        while server.run("gluster --mode=script volume info", check=False).returncode:
            if time.monotonic() > end:
                raise SystemExit(f"no glusterd: see {server.home}")
            time.sleep(0.2)
        server.run(f"""gluster --mode=script volume create v transport tcp 10.77.0.1:{server.home}/brick1/b 10.77.0.1:{server.home}/brick2/b force &&
            gluster --mode=script volume set v network.ping-timeout 10 && gluster --mode=script volume start v""", timeout=120)

    def mount(self, host):
        path = f"{host.home}/shared"
        os.makedirs(path, exist_ok=True)
        host.run("mkdir -p /var/log/glusterfs; mount -t tmpfs gl /var/log/glusterfs")
        client = host.spawn(
            "glusterfs", "-N", "--volfile-server=10.77.0.1", "--volfile-id=/v", "--acl", f"--log-file={host.home}/client.log", path, log="client.out", clock=True)
        host.until_mounted(path, client)
        ready(host, path)
        return path


class MooseFS(Cluster):
    """MooseFS of Debian: a master and a chunk server."""

    def __init__(self, server, size):
        self.server = server
        home = server.home
        self.disks = [f"{home}/disk"]
        server.run(f"""set -e
            mkdir -p {home}/master {home}/chunk {home}/disk
            mount -t tmpfs -o size={size} disk {home}/disk
            echo '* / rw,alldirs,admin,maproot=0:0' > {home}/exports
            cp /usr/share/mfsmaster/metadata.mfs {home}/master/metadata.mfs 2>/dev/null || cp /var/lib/mfs/metadata.mfs.empty {home}/master/metadata.mfs
            printf '%s\\n' 'WORKING_USER = root' 'WORKING_GROUP = root' 'DATA_PATH = {home}/master' 'EXPORTS_FILENAME = {home}/exports' \\
                'LOCK_MEMORY = 0' 'FILE_UMASK = 027' > {home}/master.cfg
            printf '%s\\n' 'WORKING_USER = root' 'WORKING_GROUP = root' 'DATA_PATH = {home}/chunk' 'MASTER_HOST = 10.77.0.1' \\
                'HDD_CONF_FILENAME = {home}/hdd' 'HDD_LEAVE_SPACE_DEFAULT = 4MiB' > {home}/chunk.cfg
            echo {home}/disk > {home}/hdd
            mkdir -p /run/mfs
            mfsmaster -c {home}/master.cfg start >{home}/master.out 2>&1
            mfschunkserver -c {home}/chunk.cfg start >{home}/chunk.out 2>&1""")


    def mount(self, host):
        path = f"{host.home}/shared"
        os.makedirs(path, exist_ok=True)
        client = host.spawn("mfsmount", path, "-f", "-H", "10.77.0.1", log="client.out", clock=True)
        host.until_mounted(path, client)
        ready(host, path)
        return path


class Ceph(Cluster):
    """CephFS of Debian by ceph-fuse: one of each daemon, objects in memory, no authentication.

    A host that was cut off comes back: by default it is shut out (`ESHUTDOWN`) until its file system is mounted anew.
    Without `fuse disable pagecache` a host reads old bytes for ever of a file that it read while another wrote to it (`CEPH_PAGECACHE=1` shows that).
    """

    def __init__(self, server, size):
        self.server = server
        self.disks = []
        home = server.home
        bytes_ = {"m": 1 << 20, "g": 1 << 30}[size[-1]] * int(size[:-1])
        with open(f"{home}/ceph.conf", "w") as file:
            file.write(f"""[global]
                fsid = {uuid.uuid4()}
                mon host = 10.77.0.1
                auth cluster required = none
                auth service required = none
                auth client required = none
                keyring = {home}/keyring
                run dir = {home}/run
                admin socket = {home}/run/$name.$pid
                log file = {home}/$name.log
                mon data = {home}/mon
                mgr data = {home}/mgr
                mds data = {home}/mds
                osd data = {home}/osd
                osd objectstore = memstore
                memstore device bytes = {bytes_}
                osd class load list = *
                osd class default list = *
                osd pool default size = 1
                osd pool default min size = 1
                osd pool default pg num = 4
                osd crush chooseleaf type = 0
                osd crush initial weight = 1
                mon allow pool size one = true
                mon warn on pool no redundancy = false
                mon data avail crit = 1
                mon data avail warn = 1
                mds session blocklist on timeout = false
                mds session blocklist on evict = false
                client reconnect stale = true
                fuse disable pagecache = {str(not os.environ.get("CEPH_PAGECACHE")).lower()}
                """.replace("                ", ""))
        server.run(f"""set -e; export CEPH_CONF={home}/ceph.conf; cd {home}
            mkdir -p mon mgr mds osd run; : > keyring
            fsid=$(sed -n 's/^fsid = //p' ceph.conf)
            monmaptool --create --addv a '[v2:10.77.0.1:3300,v1:10.77.0.1:6789]' --fsid $fsid monmap
            ceph-mon --mkfs -i a --monmap monmap""")
        self.daemons = [self.daemon("ceph-mon", "a"), self.daemon("ceph-mgr", "a")]
        id = uuid.uuid4()
        self.ceph(f"osd new {id}", seconds=60)
        server.run(f"CEPH_CONF={home}/ceph.conf ceph-osd -i 0 --mkfs --osd-uuid {id} --no-mon-config")
        self.daemons += [self.daemon("ceph-osd", "0"), self.daemon("ceph-mds", "a")]
        for words in ("osd pool create metadata 4", "osd pool create data 4", "fs new c metadata data"):
            self.ceph(words, seconds=60)
        end = time.monotonic() + 60
        while "up:active" not in self.ceph("mds stat"):
            if time.monotonic() > end:
                raise SystemExit(f"no CephFS: see {home}")
            time.sleep(0.5)

    def daemon(self, program, id):
        return self.server.spawn(program, "-f", "-c", f"{self.server.home}/ceph.conf", "-i", id, log=f"{program}.out")

    def ceph(self, words, seconds=30):
        return self.server.run(f"timeout {seconds} ceph -c {self.server.home}/ceph.conf {words}", timeout=seconds + 10).stdout

    def mount(self, host):
        path = f"{host.home}/shared"
        os.makedirs(path, exist_ok=True)
        client = host.spawn(
            "ceph-fuse", "-f", "-c", f"{self.server.home}/ceph.conf", f"--log-file={host.home}/client.log", "--admin-socket=", path, log="client.out", clock=True)
        host.until_mounted(path, client)
        ready(host, path)
        return path

    def fill(self):
        self.ceph("osd set-full-ratio 0.000001")

    def empty(self):
        self.ceph("osd set-full-ratio 0.95")
        for host in self.hosts:
            ready(host, host.shared)


class Filter:
    """NFS's manners over a directory of this machine (filter.c): no cluster, and faults on demand."""

    def __init__(self, server, size):
        self.server = server
        self.directory = f"{server.home}/directory"
        os.makedirs(self.directory)
        self.program = f"{server.home}/filter"
        flags = subprocess.run(["pkg-config", "--cflags", "--libs", "fuse3"], capture_output=True, text=True, check=True).stdout.split()
        source = os.path.dirname(os.path.abspath(__file__)) + "/filter.c"
        subprocess.run(["cc", "-O1", "-o", self.program, source, *flags, "-lpthread"], check=True)

    def mount(self, host):
        path = f"{host.home}/shared"
        os.makedirs(path, exist_ok=True)
        os.makedirs(self.control(host), exist_ok=True)
        host.spawn(self.program, self.directory, path, self.control(host), log="client.out", clock=True)
        host.until_mounted(path)
        return path

    def control(self, host):
        return f"{host.home}/control"

    def cut(self, host):
        self.set(host, "frozen", "")

    def join(self, host):
        self.unset(host, "publish")
        self.unset(host, "frozen")

    def fill(self):
        for host in self.hosts:
            self.set(host, "full", "")

    def empty(self):
        for host in self.hosts:
            self.unset(host, "full")

    def set(self, host, what, text):
        with open(f"{self.control(host)}/{what}", "w") as file:
            file.write(text)

    def is_set(self, host, what):
        return os.path.exists(f"{self.control(host)}/{what}")

    def unset(self, host, what):
        path = f"{self.control(host)}/{what}"
        if os.path.exists(path):
            os.unlink(path)


SYSTEMS = {"gluster": Gluster, "moosefs": MooseFS, "ceph": Ceph, "filter": Filter}
