"""What goes wrong, each as a function of the campaign and the names of its round. One host is the victim; the others race on, for the same names."""

import time

from . import directories
from .late import LateWrites


def victim_and_others(campaign):
    victim = campaign.random.choice(campaign.hosts)
    return victim, [host for host in campaign.hosts if host is not victim]


def busy(campaign, victim, names):
    """The victim in the middle of a write, of a seal, and of the promotion of a set, each of names of its own; the others come to them later."""
    third = len(names) // 3
    slow, sealing, sets = names[:third], names[third:2 * third], names[2 * third:]
    return [
        victim.write(names=slow, ways=["slow"], seed="slow", sizes=[2000000], pause=0.1),
        victim.write(names=sealing, ways=["create", "rename", "mv", "cp"], seed="sealing", sizes=[3000000, 200]),
        victim.write(names=sets, ways=["promote"], seed="sets", sizes=[1000000], together=8),
    ]


def cut(campaign, names, seconds):
    victim, others = victim_and_others(campaign)
    writers = busy(campaign, victim, names)
    time.sleep(0.5 + campaign.random.random() * 2)
    campaign.say(f"  {victim.name} is cut off for {seconds} s")
    campaign.system.cut(victim)
    begun = time.monotonic()
    # The others go for all names at once, and again when the lease is over.
    writers += campaign.race(names, hosts=others, seed=f"first-{campaign.options.seed}")
    while time.monotonic() - begun < seconds:
        time.sleep(0.1)
        if seconds > 45 and time.monotonic() - begun > seconds - 15 and len(writers) < 4 + len(others):
            writers += campaign.race(names, hosts=others, seed=f"second-{campaign.options.seed}")
    campaign.system.join(victim)
    campaign.say(f"  {victim.name} is back")
    hang = campaign.wait(writers, 180)
    if hang:
        campaign.fault(f"{hang} writers do not end")
    comes_back(campaign, victim)


def comes_back(campaign, victim):
    """Who was cut off publishes again, or has lost its lease and says so."""
    path = f"{victim.mount}/production/meta/meta_metrics/back{campaign.races}.json"
    done = victim.run('for _ in $(seq 30); do (echo "{}" > "$1") 2> /dev/null && exit 0; sleep 1; done; exit 1', path, check=False, timeout=120)
    status = victim.artifactfs("status", victim.mount, timeout=60)
    if done.returncode == 0:
        campaign.say(f"  {victim.name} publishes again")
    elif "LOST" in status.stdout:
        campaign.say(f"  {victim.name} has lost its lease, and says so")
    else:
        campaign.fault(f"{victim.name} does not publish again, and does not say why: {status.returncode}: {status.stdout}{status.stderr}")


def cut_short(campaign, names):
    cut(campaign, names, 10)


def cut_lease(campaign, names):
    """About as long as a lease: who is first?"""
    cut(campaign, names, campaign.random.choice([19, 21, 25, 29, 31, 35]))


def cut_long(campaign, names):
    cut(campaign, names, 75)


def cut_publish(campaign, names):
    """Cut off between the decision to publish and the link, which is done when the host is back; the filter alone can do that."""
    if campaign.options.fs != "filter":
        campaign.say("  only the filter cuts so precisely")
        return
    victim, others = victim_and_others(campaign)
    campaign.system.set(victim, "publish", "")
    writers = [victim.write(names=names, ways=["create", "mv", "rename"], seed="publish", sizes=[300])]
    end = time.monotonic() + 30
    while not campaign.system.is_set(victim, "frozen") and time.monotonic() < end:
        time.sleep(0.05)
    campaign.say(f"  {victim.name} is cut off as it publishes")
    time.sleep(campaign.options.lease + 20)
    writers += campaign.race(names, hosts=others, ways=["create"])
    campaign.wait(writers[1:], 120)
    campaign.system.join(victim)
    campaign.say(f"  {victim.name} is back")
    campaign.wait(writers, 120)
    comes_back(campaign, victim)


def late_writes(campaign, names):
    """A program writes to what it has open when its host is back, after others have published and promoted that."""
    victim, others = victim_and_others(campaign)
    late = LateWrites(campaign, victim, others[0])
    late.open()
    writers = campaign.race(names, hosts=others)
    campaign.say(f"  {victim.name} is cut off until another has sealed what it has open")
    campaign.system.cut(victim)
    late.inherit()
    campaign.system.join(victim)
    campaign.say(f"  {victim.name} is back")
    late.write()
    campaign.wait(writers, 180)
    late.look()
    late.end()
    comes_back(campaign, victim)


def driver_killed(campaign, names):
    victim, others = victim_and_others(campaign)
    writers = busy(campaign, victim, names)
    time.sleep(0.3 + campaign.random.random() * 2)
    campaign.say(f"  the driver of {victim.name} is killed")
    victim.kill_driver()
    writers += campaign.race(names, hosts=others)
    time.sleep(campaign.random.random() * 2)
    # It comes back while the others write.
    victim.start_driver()
    campaign.wait(writers, 180)
    campaign.wait(campaign.race(names), 180)


def host_killed(campaign, names):
    """Its power is cut, in the middle of all; it comes back later, as another run of the machine."""
    victim, others = victim_and_others(campaign)
    writers = busy(campaign, victim, names)
    time.sleep(0.3 + campaign.random.random() * 2)
    campaign.say(f"  {victim.name} loses its power")
    # Its last words do not reach the server.
    campaign.system.cut(victim)
    victim.stop()
    campaign.system.join(victim)
    victim.driver = victim.reader = None
    writers += campaign.race(names, hosts=others)
    campaign.wait(writers, 180)
    time.sleep(campaign.options.lease + 10)
    campaign.wait(campaign.race(names, hosts=others), 180)
    victim.restart()
    campaign.wait(campaign.race(names), 180)


def full(campaign, names):
    """No room on the shared file system, for a while."""
    writers = campaign.race(names)
    time.sleep(0.5 + campaign.random.random())
    campaign.say("  the disk is full")
    campaign.system.fill()
    time.sleep(15)
    campaign.system.empty()
    campaign.say("  there is room")
    campaign.wait(writers, 240)
    campaign.wait(campaign.race(names), 240)


def lost_links(campaign, names):
    """Answers of link(2) and rename(2) are lost; the filter alone can do that."""
    if campaign.options.fs != "filter":
        campaign.say("  only the filter loses answers")
        return
    for host, how in zip(campaign.hosts, ("30 EIO", "30 EEXIST", "30 ETIMEDOUT RENAME", "30 EEXIST RENAME")):
        campaign.system.set(host, "link", how)
    campaign.wait(campaign.race(names), 240)
    for host in campaign.hosts:
        campaign.system.unset(host, "link")


def supersede(campaign, names):
    """No fault: all hosts replace the same few artifacts at once, again and again."""
    few = names[:5]
    campaign.wait(campaign.race(few, ways=["create"]), 60)
    for _ in range(5):
        campaign.wait(campaign.race(few, ways=["supersede"]), 120)


def race_of_directories(campaign, names):
    """No fault: all hosts make, move and promote the same directories."""
    directories.race(campaign)


# What is no fault: nothing may be in quarantine after it.
QUIET = {"supersede", "directories"}

FAULTS = {
    "supersede": supersede, "directories": race_of_directories,
    "cut-short": cut_short, "cut-lease": cut_lease, "cut-long": cut_long, "late-writes": late_writes, "driver": driver_killed, "host": host_killed, "full": full,
    "cut-publish": cut_publish, "links": lost_links,
}
