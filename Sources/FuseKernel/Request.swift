internal import CFuse
internal import Glibc

/// One request of the kernel's, which must be answered exactly once.
///
/// It cannot be copied, and answering consumes it, so it is answered *at most* once by the compiler's word; a handler returns or
/// throws, so it is answered *at least* once, and what is dropped all the same is answered `EIO` as it goes.
public struct Request: ~Copyable {
    /// Who asks.
    public let caller: Caller
    /// Nil for a request that no kernel waits for.
    private let raw: fuse_req_t?

    /// A request that no kernel waits for, to drive a file system by hand.
    public init(caller: Caller) {
        self.caller = caller
        raw = nil
    }

    /// - Parameters:
    ///   - canWait: whether it may be kept and answered later.
    ///   - isMovable: whether another thread may handle it.
    init(_ raw: fuse_req_t, canWait: Bool = false, isMovable: Bool = false) {
        let context = fuse_req_ctx(raw)
        var caller = Caller(
            user: context?.pointee.uid ?? 0, group: context?.pointee.gid ?? 0, process: context?.pointee.pid ?? 0,
            umask: context?.pointee.umask ?? 0)
        caller.canWait = canWait
        caller.isMovable = isMovable
        self.caller = caller
        self.raw = raw
    }

    /// Who has what open on this mount.
    var owners: HandleOwners? { raw.flatMap { Dispatcher.of($0) }?.owners }

    /// Who else reads and writes files; nil for a request that is not to be moved.
    var crowd: Crowd? { caller.isMovable ? raw.flatMap { Dispatcher.of($0) }?.crowd : nil }

    /// Sends the answer.
    ///
    /// - Returns: false when nobody waits for it any more: what the answer handed out must be taken back.
    consuming func answer(_ reply: borrowing Reply) -> Bool {
        let raw = self.raw
        discard self
        guard let raw else { return true }
        return reply.send(raw) != -ENOENT
    }

    /// Leaves the answer to whoever has kept the request.
    consuming func keep() { discard self }

    deinit {
        if let raw { fuse_reply_err(raw, EIO) }
    }
}
