internal import ArtifactStore
public import FuseKernel
public import SystemPackage

extension Volume {
    /// Nobody opens so many files, or closes so many faster than they are published, that others or the driver could open none.
    public func admit(_ caller: Caller, openFiles: Int, creating: Bool) throws(Errno) {
        if store.isReadOnly { return }
        let waiting = seals.waiting(of: caller.user)
        // A little later there is more room; no thread waits for that.
        if creating, caller.canWait, waiting.own > store.descriptors.mostWaiting { throw Errno.answerLater }
        try store.descriptors.admit(own: openFiles + waiting.own, waiting: waiting.all)
    }
}
