internal import Artifacts
internal import ArtifactStore
internal import FuseKernel
internal import Glibc
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// Opening a file in `logs/` or `scratch/`.
extension Volume {
    func open(_ node: FreeNode, _ flags: OpenFlags, caller: Caller) throws(Errno) -> Opened {
        if flags.isWritable || flags.truncates {
            try enforceLive(node, flags.truncates ? .openTruncating : .openToWrite, caller)
        }
        try enforceJob(node, flags, caller)
        guard flags.isWritable, let artifact = node.artifact else {
            var opened = try node.withDescriptor { path throws(Errno) in try open(node, path, flags, caller: caller) }
            if flags.isReadable, let number = noteRead(node, caller), opened.handle.isReader {
                passesOn(number, &opened)
            }
            return opened
        }
        // Until it is released.
        try beginChange(of: artifact, caller)
        do throws(Errno) {
            return try node.withDescriptor { path throws(Errno) in try open(node, path, flags, caller: caller) }
        } catch {
            endChange(of: artifact)
            throw error
        }
    }

    /// What is being made in production is written by its maker's user, and read by its job: nobody takes half a directory for all.
    private func enforceJob(_ node: FreeNode, _ flags: OpenFlags, _ caller: Caller) throws(Errno) {
        guard let artifact = node.artifact, artifact.isMaking, let staged = artifactDirectories.staged(artifact),
            !staged.state.withLock({ $0.isTransient })
        else { return }
        let operation: Operation = flags.isWritable || flags.truncates ? .openToWrite : .openToRead
        var facts = Facts(isSameUser: caller.user == staged.caller.user)
        if operation == .openToRead {
            facts.isSameJob = store.schema.publishing == .close || isSameJob(caller, staged)
        }
        try enforce(
            OverwritePolicy.judgeInUnfinished(operation, facts: facts), operation.rawValue, shownPath(of: node), caller)
    }

    private func open(
        _ node: FreeNode, _ path: FileDescriptor, _ flags: OpenFlags, caller: Caller
    ) throws(Errno) -> Opened {
        // The kernel opens fifos, sockets and devices by itself.
        guard node.kind == S_IFREG else { throw Errno.invalidArgument }
        // Who is root when the file is registered would leave the bits to whoever writes then (`SetIDBits`).
        let mode = flags.isWritable && caller.user != 0 ? try SystemCall.attributes(path).st_mode : 0
        let connection = SetIDBits.dropped(from: mode) == nil ? passthrough : nil
        let opened = try node.open.withLock { open throws(Errno) -> (reply: Opened, toCut: FileDescriptor?) in
            try open.add(writable: flags.isWritable, connection: connection, for: caller, rights) {
                mode throws(Errno) in
                try rights.acting(for: caller) { () throws(Errno) in try SystemCall.reopen(path, mode) }
            }
            store.descriptors.fileOpened()
            if flags.truncates {
                do throws(Errno) {
                    if try takesLong(toCut: path, to: 0, caller) { throw Errno.takesLong }
                } catch {
                    open.remove(writable: flags.isWritable, connection: passthrough)
                    store.descriptors.fileClosed()
                    throw error
                }
            }
            let reply = Opened(
                handle: HandleID(rawValue: flags.isWritable ? 1 : 0), backing: open.backing,
                traits: self.traits(flags, open.backing))
            return (reply, flags.isWritable ? open.writing : nil)
        }
        guard flags.truncates else { return opened.reply }
        // Without the lock, for which others would wait: the handle is counted already.
        do throws(Errno) {
            if let descriptor = opened.toCut {
                try truncate(descriptor, to: 0, caller)
            } else {
                try truncate(atPath: path, to: 0, caller)
            }
        } catch {
            node.open.withLock { $0.remove(writable: flags.isWritable, connection: passthrough) }
            store.descriptors.fileClosed()
            throw error
        }
        return opened.reply
    }
}
