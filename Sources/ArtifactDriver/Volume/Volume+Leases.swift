internal import Artifacts
internal import ArtifactStore
internal import Logging

/// What a mount is told of its lease and of other hosts' (``Leases``).
extension Volume {
    func hear(_ news: LeaseNews) {
        switch news {
        case .state(.held):
            log.notice("the store was reached again: the lease is held")
        case .state(.lapsed):
            log.warning(
                "the store was not reached for as long as the lease holds: nothing is published or written until it is")
        case .state(.lost):
            log.error(
                "another host has taken this mount for dead: what was staged is kept there; unmount, and mount again")
        case .inherited(let mounts):
            for mount in mounts { log.warning("a mount of another host is dead", metadata: ["mount": "\(mount)"]) }
            // It may take long, and the thread that tells this has a lease to renew.
            seals.submit(isLong: true) { self.recoverLeftovers(isNews: true) }
        }
    }
}
