"""Hosts race for names of artifacts that are directories: one host has each, with all of its files, and who was told that it is done has it."""

import time

TYPE = "meta/meta_checkpoints"

# Runs on a host: MOUNT BINARY HOST NAME... A line for each name: the way, and how it ended. The ways: mv from a session, promotion, and in production itself.
SCRIPT = r"""
mount=$1 binary=$2 host=$3; shift 3
session=$mount/development/$(readlink "$mount/development/current")/meta/meta_checkpoints
number=0
for name; do
    number=$((number + 1))
    case $(((number + ${#host} + ${host: -1}) % 3)) in
    0) way=mv; (mkdir -p "$session/$name" && for f in a b c; do echo "$host $name" > "$session/$name/$f.bin"; done && mv -T -n "$session/$name" "$mount/production/meta/meta_checkpoints/$name" && [ ! -e "$session/$name" ]);;
    1) way=promote; (mkdir -p "$session/$name" && for f in a b c; do echo "$host $name" > "$session/$name/$f.bin"; done && "$binary" promote "$session/$name");;
    2) way=make; (mkdir "$mount/production/meta/meta_checkpoints/$name" && for f in a b c; do echo "$host $name" > "$mount/production/meta/meta_checkpoints/$name/$f.bin" || exit 1; done);;
    esac > /dev/null 2>&1
    echo "$name $way $?"
done
"""


def race(campaign):
    """All hosts go for the same names; what was told is compared with what is there."""
    names = [f"race{campaign.races}-{number}" for number in range(24)]
    campaign.races += 1
    running = [
        (host, host.spawn("bash", "-c", SCRIPT, "race", host.mount, host.binary, host.name, *names, log=f"directories{campaign.races}.log"))
        for host in campaign.hosts
    ]
    for host, process in running:
        try:
            process.wait(240)
        except Exception:
            campaign.fault(f"{host.name} does not end making directories")
            process.kill()
    # What is made in production is published when its maker has ended.
    time.sleep(20)
    told = {name: [] for name in names}
    for host, _ in running:
        with open(f"{host.home}/directories{campaign.races}.log") as file:
            for line in file:
                words = line.split()
                if len(words) == 3 and words[0] in told and words[2] == "0":
                    told[words[0]].append((host.name, words[1]))
    one = campaign.hosts[0]
    winners = 0
    for name in names:
        seen = one.run('cd "$1" 2> /dev/null && for f in a b c; do cat "$f.bin" 2> /dev/null; done', f"{one.store}/meta_layer/checkpoints/{name}", check=False).stdout.split("\n")[:-1]
        hosts = {line.split()[0] for line in seen if line}
        winners += len(seen) == 3
        if seen and (len(seen) != 3 or len(hosts) != 1):
            campaign.fault(f"{name} is not one host's whole directory: {seen}")
        if len(told[name]) > 1:
            campaign.fault(f"{name}: {told[name]} were told that they have it")
        if told[name] and {host for host, _ in told[name]} != hosts:
            campaign.fault(f"{name}: {told[name]} was told that it has it, and there is {sorted(hosts) or 'nothing'}")
        if not told[name] and not seen:
            campaign.fault(f"{name}: nobody has it")
    campaign.say(f"  {winners} of {len(names)} directories are there")
