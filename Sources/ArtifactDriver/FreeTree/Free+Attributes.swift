internal import Artifacts
internal import ArtifactStore
internal import FuseKernel
internal import Glibc
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// Attributes of what is in `logs/` and `scratch/`: as the caller may at the real path, while the session lives.
extension Volume {
    func change(
        _ node: FreeNode, _ changes: AttributeChanges, handle: HandleID?, caller: Caller
    ) throws(Errno) {
        try enforceLive(node, .setAttributes, caller)
        if changes.size != nil { try enforceLive(node, .truncate, caller) }
        if changes.user != nil || changes.group != nil { try enforceLive(node, .setOwner, caller) }
        var changes = changes
        changes.mode = changes.mode.map(state(of: node.artifact, in: node.scope).permitted)
        try changing(node.artifact, caller) { () throws(Errno) in try changeLive(node, changes, handle: handle, caller)
        }
    }

    private func changeLive(
        _ node: FreeNode, _ changes: AttributeChanges, handle: HandleID?, _ caller: Caller
    ) throws(Errno) {
        try node.withDescriptor { path throws(Errno) in
            if let size = changes.size {
                guard node.kind == S_IFREG else { throw node.kind == S_IFDIR ? Errno.isDirectory : .invalidArgument }
                let isWriter = handle.map { !$0.isReader } ?? false
                if try takesLong(toCut: path, to: size, caller) { throw Errno.takesLong }
                if isWriter, let writing = node.open.withLock({ $0.writing }) {
                    try truncate(writing, to: size, caller)
                } else {
                    try truncate(atPath: path, to: size, caller)
                }
            }
            guard changes.changesMore else { return }
            if node.artifact != nil {
                try apply(changes, toSealed: path, for: caller)
            } else {
                try apply(changes, to: path, for: caller)
            }
        }
    }

    /// truncate(2) of the file that an `O_PATH` descriptor names.
    func truncate(atPath descriptor: FileDescriptor, to size: Int64, _ caller: Caller) throws(Errno) {
        try rights.acting(for: caller) { () throws(Errno) in
            try SystemCall.truncate(ofPath: descriptor, to: size)
        }
    }

    /// Refuses a change of a file in an ended session's tree, or in what is sealed or was kept back.
    func enforceLive(_ node: FreeNode, _ operation: Operation, _ caller: Caller) throws(Errno) {
        try enforceLive(node.scope, node.artifact, operation, shownPath(of: node), caller)
    }

    /// Refuses a change of a name in an ended session's tree, or in what is sealed or was kept back.
    func enforceLive(
        _ name: EntryName, in parent: FreeParent, _ operation: Operation, _ caller: Caller
    ) throws(Errno) {
        try enforceLive(parent.scope, parent.artifact, operation, shownPath(of: name, in: parent.number), caller)
    }

    private func enforceLive(
        _ scope: Scope, _ artifact: ArtifactDirectory?, _ operation: Operation, _ path: @autoclosure () -> String,
        _ caller: Caller
    ) throws(Errno) {
        let verdict =
            artifact?.isKept == true
            ? OverwritePolicy.judgeInKept(.operation(operation), isDirectory: false)
            : OverwritePolicy.judge(
                operation, on: state(of: artifact, in: scope), facts: Facts(isInOrdinaryTree: true))
        try enforce(verdict, operation.rawValue, path(), caller)
    }
}
