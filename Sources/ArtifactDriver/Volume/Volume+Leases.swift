internal import Artifacts
internal import ArtifactStore
internal import Logging
internal import SystemCalls

/// What a mount is told of its lease and of other hosts' (``Leases``).
extension Volume {
    /// - Returns: whether it is done with that.
    func hear(_ news: LeaseNews) -> Bool {
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
            let report = store.recoverAgain()
            report.write(to: log)
            guard !report.wasBusy else { return false }
            waiting.noteLeftovers(!report.waiting.isEmpty, now: Clock.monotonic())
            setTimerForWaiting()
        }
        return true
    }
}
