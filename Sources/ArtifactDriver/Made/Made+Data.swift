internal import ArtifactStore
internal import FuseKernel
internal import SystemCalls
internal import SystemPackage

/// The bytes of hidden files: made when one is opened, or, on a read-only mount, when its size is asked for.
extension Volume {
    /// A read through a handle.
    func read(madeWith handle: HandleID, _ offset: Int64, _ size: Int) throws(Errno) -> [UInt8] {
        part(of: try handles.content(handle), offset, size)
    }

    /// What the kernel was told of where nothing is opened.
    func unopenedContent(of file: HiddenFile, for viewer: Viewer) -> [UInt8] {
        hiddenContents.known(file, for: viewer) ?? content(of: file, for: viewer)
    }

    func part(of content: [UInt8], _ offset: Int64, _ size: Int) -> [UInt8] {
        guard offset >= 0, offset < Int64(content.count) else { return [] }
        return Array(content[Int(offset)...].prefix(max(0, size)))
    }

    /// `SEEK_DATA` and `SEEK_HOLE`, the only ones that the kernel asks for: data from beginning to end (lseek(2)).
    func seek(
        _ made: MadeEntry, _ handle: HandleID, _ offset: Int64, _ whence: Int32
    ) throws(Errno) -> Int64 {
        let content: [UInt8]
        switch made {
        case .hiddenFile(let file, for: let viewer):
            content = opensNothing ? unopenedContent(of: file, for: viewer) : try handles.content(handle)
        case .record(let record): content = record.content
        case .versionRecord(let record): content = record.content
        case .keptReason(let id, _): content = try store.quarantine().reason(of: id)
        default: throw Errno.isDirectory
        }
        guard whence == SystemCall.seekData || whence == SystemCall.seekHole else { throw Errno.invalidArgument }
        guard offset >= 0, offset < Int64(content.count) else { throw Errno.noSuchAddressOrDevice }
        return whence == SystemCall.seekData ? offset : Int64(content.count)
    }
}
