internal import Artifacts
internal import ArtifactStore
internal import FuseKernel
internal import Glibc
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// Extended attributes of artifacts, and the access lists of the tree's own directories.
extension Volume {
    func attribute(_ name: EntryName, of file: ArtifactFile, _ caller: Caller) throws(Errno) -> [UInt8] {
        if name.string == ArtifactAttribute.state {
            let standing = self.standing(of: file)
            return Array(file.state.withLock { $0.fileState(standing: standing) }.rawValue.utf8)
        }
        if name.string == ArtifactAttribute.asker {
            guard let asker = asker(caller, of: file) else { throw Errno.noData }
            return Array(asker.text.utf8)
        }
        if name.string == ArtifactAttribute.evicted {
            guard let evicted = try evicted(file) else { throw Errno.noData }
            return Array(evicted.mark.mirror.utf8)
        }
        if let record = name.string, ArtifactAttribute.ofRecord.contains(record) {
            guard let place = namespace.place(of: file.id), file.state.withLock({ $0.isPublished }) else {
                throw Errno.noData
            }
            return try recordAttribute(record, of: place.name, in: place.parent, caller)
        }
        // "Not supported" is also what setting it gives; ls(1) then asks for no other file's `security.selinux`.
        guard name.string.map(ArtifactAttribute.isKept) ?? false else { throw Errno.notSupported }
        return try withDescriptor(of: file) { descriptor throws(Errno) in
            try attribute(name, of: descriptor, for: caller)
        }
    }

    /// Access lists decide who may do what, so a directory shows those of the real one, or of the one that it would be made in.
    func attribute(_ name: EntryName, of directory: TreeDirectory, _ caller: Caller) throws(Errno) -> [UInt8] {
        if name.string == ArtifactAttribute.state, case .scope(.session) = directory.location {
            let state: FileState = standing(of: directory.scope) == .live ? .live : .frozen
            return Array(state.rawValue.utf8)
        }
        guard isAccessList(name) else { throw Errno.noData }
        let real = try directory.real.nearestExisting()
        return try withExtendedLifetime(real) { () throws(Errno) in
            try attribute(name, of: real.descriptor, for: caller)
        }
    }

    /// The driver's own are found when named and not listed: a copy must not carry them to another file.
    func attributeNames(of file: ArtifactFile) throws(Errno) -> [UInt8] {
        try withDescriptor(of: file) { descriptor throws(Errno) -> [UInt8] in
            let all = try SystemCall.withPath(of: descriptor) { path throws(Errno) in
                try SystemCall.extendedAttributeNames(ofPath: path)
            }
            return all.split(separator: 0).filter { name in
                name.starts(with: "user.".utf8) && !Store.ownAttributes.contains { name.elementsEqual($0.utf8) }
            }.flatMap { $0 + [0] }
        }
    }

    func changeAttribute(
        _ name: EntryName, of file: ArtifactFile, _ caller: Caller, _ change: AttributeChange
    ) throws(Errno) {
        let operation = Operation.setExtendedAttribute.rawValue
        let text = name.string ?? ""
        try enforce(
            OverwritePolicy.judge(attribute: text), operation, shownPath(of: .artifact(file)), caller)
        try deferIfClosing(file, caller)
        let standing = self.standing(of: file)
        let job = self.facts(for: caller, file)
        try file.state.withLock { state throws(Errno) in
            let facts = Facts(isSameJob: job.isSameJob, isSettling: isSettling(state, caller))
            let fileState = state.fileState(standing: standing)
            try enforce(
                OverwritePolicy.judge(.setExtendedAttribute, on: fileState, facts: facts), operation,
                shownPath(of: .artifact(file)), caller)
            try withDescriptor(of: file, state) { descriptor throws(Errno) in
                // Without root nobody may set attributes of a file without write bits, its owner neither (xattr(7)).
                let mode = try SystemCall.attributes(descriptor).st_mode
                let isForbidden = !rights.actsForOthers && mode & S_IWUSR == 0 && text.hasPrefix("user.")
                guard fileState == .sealed || fileState == .sealing || fileState == .settling && isForbidden else {
                    return try rights.acting(for: caller) { () throws(Errno) in try change(descriptor, .caller) }
                }
                do throws(Errno) {
                    try self.change(
                        sealed: descriptor, as: isForbidden ? .ownerWithoutWriting : .driver, change)
                } catch {
                    // No such namespace is to be had here, or the file has a group that is not the driver's.
                    guard isForbidden, [.permissionDenied, .notPermitted, .noSpace].contains(error) else {
                        throw error
                    }
                    // Then it is as if the few seconds were over.
                    try enforce(
                        OverwritePolicy.judge(.setExtendedAttribute, on: fileState), operation,
                        shownPath(of: .artifact(file)), caller)
                }
            }
        }
    }

    /// An access list of one of the tree's own directories.
    ///
    /// - Parameter isMode: whether it says no more than a mode: then it is accepted as a change of mode is.
    func changeAccessList(
        of directory: TreeDirectory, isMode: Bool, _ caller: Caller, _ change: AttributeChange
    ) throws(Errno) {
        let standing = standing(of: directory.scope)
        let operation: Operation = isMode ? .setAttributes : .setExtendedAttribute
        let verdict = OverwritePolicy.judgeChange(operation, ofDirectoryIn: directory.place, standing: standing)
        try enforce(verdict, operation.rawValue, directory.path, caller)
        guard OverwritePolicy.keepsAttributes(ofDirectoryIn: directory.place, standing: standing) else { return }
        try eachReal(of: directory) { real throws(Errno) in
            try rights.acting(for: caller) { () throws(Errno) in try change(real, .caller) }
        }
    }

    /// Runs with an open descriptor of a file.
    private func withDescriptor<Result: Sendable>(
        of file: ArtifactFile, _ body: (FileDescriptor) throws(Errno) -> Result
    ) throws(Errno) -> Result {
        try file.state.withLock { state throws(Errno) -> Result in
            try withDescriptor(of: file, state, body)
        }
    }
}
