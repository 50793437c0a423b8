public import ArtifactFormats
internal import Glibc
internal import SystemCalls
public import SystemPackage

/// What a check says of a file that is not to be published yet, for who waits for it.
extension Store {
    /// Whether a file can be published, as far as bounded work tells. An empty file fits: it is not published.
    ///
    /// What follows lengths and places that a file tells is checked in a process of its own, which is waited for a few seconds at most.
    /// The other checks (`FormatCheck.isIntricate`) look at bytes in order and count; that no number in a file and no cut of it makes them
    /// trap is what `NumberTests` and `FuzzTests` of the formats try.
    public func quickAnswer(of check: FormatCheck, _ file: FileDescriptor) -> QuickAnswer {
        let source: FileSource
        do throws(Errno) { source = try FileSource(file) } catch { return .unreadable(error) }
        guard source.count > 0 else { return .fits }
        if check.isIntricate, let answer = withReader(file, { checks.quickAnswer(of: check, $0) }) { return answer }
        do throws(FormatError) {
            try check.checkQuickly(source)
            return .fits
        } catch {
            switch error {
            case .invalid(let reason): return .refused(reason)
            case .unreadable(let error): return .unreadable(error)
            }
        }
    }

    /// What the whole check says of a file.
    public func contentsAnswer(of check: FormatCheck, _ file: FileDescriptor) -> ContentsAnswer {
        withReader(file) { checks.contents(of: check, $0) }
    }

    /// Runs with a descriptor that cannot write, for another process, where one is to be had.
    private func withReader<Result>(_ descriptor: FileDescriptor, _ body: (FileDescriptor) -> Result) -> Result {
        guard let reader = try? SystemCall.reopen(descriptor, O_RDONLY) else { return body(descriptor) }
        defer { SystemCall.close(reader) }
        return body(reader)
    }
}
