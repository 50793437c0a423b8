internal import ArtifactFormats
internal import Artifacts
internal import ArtifactStore
internal import FuseKernel
internal import Glibc
internal import Logging
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// Is a file what its name says? What is asked when it is closed or given a valid name; before it is published it is asked again, of all bytes.
extension Volume {
    private static let quicklyRead: Int64 = 256 << 10

    /// Whether a quick check may keep the thread that does it: where it waits for another process, and where what is read may come from
    /// the disk. What is small was just written and is in memory.
    func takesLong(toCheck file: ArtifactFile, _ check: FormatCheck) -> Bool {
        guard let descriptor = file.state.withLock({ $0.open.writing }) else { return false }
        return takesLong(toCheck: descriptor, check)
    }

    /// The same of an open file.
    func takesLong(toCheck descriptor: FileDescriptor, _ check: FormatCheck) -> Bool {
        guard let size = try? SystemCall.attributes(descriptor).st_size else { return false }
        return takesLong(toCheck: Int64(size), check)
    }

    /// The same of a file of so many bytes.
    func takesLong(toCheck size: Int64, _ check: FormatCheck) -> Bool {
        size > (check.isIntricate ? 0 : Self.quicklyRead)
    }

    /// Why a file that is closed cannot be published: what a whole check says of one that is not too large for it (`check_at_close`), what
    /// bounded work tells of another. With what was found, which spares publishing the check of what has the same bytes then.
    func closeProblem(
        _ descriptor: FileDescriptor, _ check: FormatCheck
    ) throws(Errno) -> (problem: String?, contents: CheckedContents?) {
        let source = try FileSource(descriptor)
        guard source.count > 0 else { return (nil, nil) }
        guard source.count <= store.schema.checkAtClose, check.isWorthWholeCheck, !check.isWholeQuickly(source) else {
            return (try quickProblem(descriptor, check), nil)
        }
        if !check.isIntricate, source.count <= Self.quicklyRead {
            // So little is checked again sooner than hashed.
            do throws(FormatError) {
                _ = try check.checkWhole(source) { _ in }
                return (nil, nil)
            } catch {
                switch error {
                case .invalid(let reason): return (reason, nil)
                case .unreadable(let error): throw error
                }
            }
        }
        switch store.contentsAnswer(of: check, descriptor) {
        case .passed(let contents): return (nil, contents)
        case .refused(let reason): return (reason, nil)
        case .unreadable(let error): throw error
        case .unknown:
            log.warning("a check at close took too long and was ended; the file is checked before it is published")
            return (nil, nil)
        }
    }

    /// Why a file cannot be published, as far as bounded work tells; nil when nothing speaks against it. Empty files are not published.
    func quickProblem(_ descriptor: FileDescriptor, _ check: FormatCheck) throws(Errno) -> String? {
        switch store.quickAnswer(of: check, descriptor) {
        case .fits: return nil
        case .refused(let reason): return reason
        case .unreadable(let error): throw error
        case .unknown:
            noteUnknown()
            return nil
        }
    }

    /// A quick check had no answer in time.
    func noteUnknown() {
        log.warning("a quick check took too long and was ended; the file is checked before it is published")
    }

    /// The check for a name, when its type is checked.
    func contentCheck(_ name: String, in directory: TreeDirectory) -> FormatCheck? {
        guard case .typed(_, _, let type) = directory.location else { return nil }
        return directory.location.checkedFormat(of: name).flatMap { type.check(ofFormat: $0) }
    }
}
