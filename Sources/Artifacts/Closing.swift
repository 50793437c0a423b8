/// What the last close of a file that is to be published leaves.
public enum LastClose: Hashable, Sendable {
    /// Nothing was written: it stays writable.
    case staysEmpty
    /// A killed or failed writer wrote nothing: only the name was taken, and is free again.
    case drops
    /// The bytes are not what a writer meant to leave: they go to quarantine.
    case keepsBack
    /// It is judged by its makers (``Settlement``).
    case settles

    /// Judges it.
    ///
    /// - Parameters:
    ///   - isSpoiled: whether a writer failed with the file open, or a write did.
    ///   - size: the file's, in bytes.
    public static func judge(isSpoiled: Bool, size: Int64) -> LastClose {
        guard size > 0 else { return isSpoiled ? .drops : .staysEmpty }
        return isSpoiled ? .keepsBack : .settles
    }
}

extension Settlement {
    /// Whether a process that a signal or a failure ends with a handle open leaves the file unfinished. Who opened it does. Another that
    /// has a copy of the handle (fork(2)) may have written nothing, such as a worker of Python's `multiprocessing` that is ended when the
    /// work is done: then who opened it has written at least as many bytes as the file has. A failure status of such a process, and a
    /// reader that ended before it (SIGPIPE), are for who started it to judge.
    ///
    /// - Parameters:
    ///   - ending: how it ends.
    ///   - isOpener: whether it is the process that opened the file with this handle.
    ///   - written: how many bytes that process has written so far, to whatever it was; nil when that cannot be seen. Asked for only when
    ///     it matters.
    ///   - size: the file's; nil when it is not known.
    public static func isSpoiled(
        by ending: WriterEnding, isOpener: Bool, written: @autoclosure () -> UInt64?, size: Int64?
    ) -> Bool {
        if isOpener {
            return switch ending {
            case .failed, .killed: true
            case .running, .unknown, .succeeded: false
            }
        }
        guard case .killed(let signal) = ending, signal != sigpipe else { return false }
        guard let written = written(), let size else { return true }
        return written < UInt64(max(0, size))
    }

    /// Whether only those count as a file's makers who make it from now on: nothing that was written before is left.
    ///
    /// - Parameters:
    ///   - truncates: whether it is opened with `O_TRUNC`.
    ///   - writers: how many handles were open for writing before, and not being closed.
    public static func beginsAnew(truncates: Bool, writers: @autoclosure () -> Int) -> Bool {
        truncates && writers() == 0
    }
}

extension TreeLocation {
    /// The ending by which a file of this name is checked before it is published; nil where nothing is checked, or the name has no
    /// format of the type.
    public func checkedFormat(of name: String) -> String? {
        guard case .typed(.production, _, let type) = self, type.isChecked else { return nil }
        return type.format(of: name)
    }
}
