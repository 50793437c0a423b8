internal import CFuse
internal import Glibc
internal import SystemPackage

/// Answers one request with what a handler returns or throws.
private func serve(
    _ raw: fuse_req_t?, _ doing: Doing, _ body: (any FileSystem, borrowing Request) throws(Errno) -> Reply
) {
    guard let raw, let userdata = fuse_req_userdata(raw) else { return }
    Unmanaged<Dispatcher>.fromOpaque(userdata)._withUnsafeGuaranteedRef { dispatcher in
        dispatcher.startIfNeeded()
        let request = Request(raw)
        do throws(Errno) {
            let reply = try body(dispatcher.fileSystem, request)
            if !request.answer(reply) { takeBack(reply, dispatcher.fileSystem, dispatcher.owners) }
        } catch {
            dispatcher.fail(request, doing, error)
        }
    }
}

/// The same for a request whose answer may have to wait, or that may take long.
///
/// - Parameter later: makes what handles it again, from copies of what it was given: libfuse's buffer is another request's by then.
private func serve(
    _ raw: fuse_req_t?, _ doing: Doing, _ body: (any FileSystem, borrowing Request) throws(Errno) -> Reply,
    later: () throws(Errno) -> LateAnswers.Attempt
) {
    guard let raw, let userdata = fuse_req_userdata(raw) else { return }
    Unmanaged<Dispatcher>.fromOpaque(userdata)._withUnsafeGuaranteedRef { dispatcher in
        dispatcher.startIfNeeded()
        let request = Request(raw, canWait: true, isMovable: true)
        do throws(Errno) {
            let reply = try body(dispatcher.fileSystem, request)
            if !request.answer(reply) { takeBack(reply, dispatcher.fileSystem, dispatcher.owners) }
        } catch {
            guard error.isForLater || error == .takesLong else {
                return dispatcher.fail(request, doing, error)
            }
            request.keep()
            serveLater(raw, doing, dispatcher, error, later)
        }
    }
}

/// - Parameter reason: `Errno.answerLater` or `Errno.takesLong`.
private func serveLater(
    _ raw: fuse_req_t, _ doing: Doing, _ dispatcher: Dispatcher, _ reason: Errno,
    _ later: () throws(Errno) -> LateAnswers.Attempt
) {
    do throws(Errno) {
        let (sent, attempt) = (SentRequest(raw: raw), try later())
        if reason == .takesLong { return dispatcher.takeLong(sent, doing, attempt) }
        if dispatcher.late.keep(sent, doing, attempt, dispatcher, for: reason) { return }
        if dispatcher.handle(sent, doing, attempt, canWait: false, isMovable: true) != nil {
            dispatcher.takeLong(sent, doing, attempt)
        }
    } catch {
        dispatcher.fail(Request(raw), doing, error)
    }
}

/// A name to keep, with its NUL.
private func copy(_ pointer: UnsafePointer<CChar>?) throws(Errno) -> [CChar] {
    guard let pointer else { throw Errno.invalidArgument }
    return Array(UnsafeBufferPointer(start: pointer, count: strlen(pointer) + 1))
}

extension [CChar] {
    fileprivate func withName<Result>(_ body: (EntryName) throws(Errno) -> Result) throws(Errno) -> Result {
        try withUnsafeBufferPointer { buffer throws(Errno) -> Result in
            guard let start = buffer.baseAddress else { throw Errno.invalidArgument }
            return try body(EntryName(start))
        }
    }
}

/// Nobody waited for the reply any more (the caller was interrupted): what it handed out will never be released or forgotten.
func takeBack(_ reply: Reply, _ fileSystem: any FileSystem, _ owners: HandleOwners?) {
    func number(_ handle: HandleID) -> HandleID { owners?.release(handle) ?? handle }
    switch reply {
    case .entry(let entry): if entry.inode.rawValue != 0 { fileSystem.forget(entry.inode, lookups: 1) }
    case .created(let created):
        fileSystem.release(inode: created.entry.inode, handle: number(created.opened.handle))
        fileSystem.forget(created.entry.inode, lookups: 1)
    case .opened(let opened, let inode): fileSystem.release(inode: inode, handle: number(opened.handle))
    case .openedDirectory(let opened, let inode): fileSystem.releaseDirectory(inode: inode, handle: opened.handle)
    default: break
    }
}

private func number(_ inode: fuse_ino_t) -> InodeNumber { InodeNumber(rawValue: UInt64(inode)) }

private func handle(_ info: UnsafeMutablePointer<fuse_file_info>?) -> HandleID {
    HandleOwners.number(of: whole(info))
}

/// With its owner.
private func whole(_ info: UnsafeMutablePointer<fuse_file_info>?) -> HandleID {
    HandleID(rawValue: info.map { cfuse_file_handle($0) } ?? 0)
}

private func name(_ pointer: UnsafePointer<CChar>?) throws(Errno) -> EntryName {
    guard let pointer else { throw Errno.invalidArgument }
    return EntryName(pointer)
}

/// FS_IOC_GETFLAGS is `_IOR('f', 1, long)`, or of an int, and carries an int in both forms (ioctl_iflags(2)).
private func control(
    _ fs: any FileSystem, _ request: borrowing Request, _ inode: InodeNumber, command: UInt32, size: Int
) throws(Errno) -> Reply {
    guard command == 0x8008_6601 || command == 0x8004_6601, size >= 4 else {
        throw Errno.inappropriateIOCTLForDevice
    }
    let flags = try fs.inodeFlags(request, inode: inode)
    var bytes = [UInt8](repeating: 0, count: size)
    withUnsafeBytes(of: flags) { for (index, byte) in $0.enumerated() { bytes[index] = byte } }
    return .control(bytes)
}

private func list(
    _ raw: fuse_req_t?, _ inode: fuse_ino_t, _ size: Int, _ offset: off_t,
    _ info: UnsafeMutablePointer<fuse_file_info>?, wantsAttributes: Bool
) {
    var buffer = DirectoryBuffer(wantsAttributes: wantsAttributes, size: size)
    serve(raw, Doing(.readdir, inode)) { fs, request throws(Errno) in
        do throws(Errno) {
            try fs.readDirectory(
                request, inode: number(inode), handle: handle(info), offset: Int64(offset), into: &buffer)
        } catch {
            // Entries with attributes count as lookups, so the kernel must get them. The next call meets the error again.
            if buffer.bytes.isEmpty { throw error }
        }
        return .memory(buffer.bytes)
    }
}

/// The `FUSE_SET_ATTR_*` bits (fuse_lowlevel.h).
private func changes(_ attributes: stat, valid: Int32) -> AttributeChanges {
    func has(_ bit: Int32) -> Bool { valid & (1 << bit) != 0 }
    var changes = AttributeChanges()
    if has(0) { changes.mode = attributes.st_mode & 0o7777 }
    if has(1) { changes.user = attributes.st_uid }
    if has(2) { changes.group = attributes.st_gid }
    if has(3) { changes.size = Int64(attributes.st_size) }
    if has(7) { changes.accessed = .now } else if has(4) { changes.accessed = .at(attributes.st_atim) }
    if has(8) { changes.modified = .now } else if has(5) { changes.modified = .at(attributes.st_mtim) }
    return changes
}

private func change(
    _ fs: any FileSystem, _ request: borrowing Request, _ inode: InodeNumber, _ attributes: stat, valid: Int32,
    _ handle: HandleID?
) throws(Errno) -> Reply {
    var changes = changes(attributes, valid: valid)
    // 3.14 masks the kernel's bit 11 away; it stands for "the caller has not CAP_FSETID", which is root's.
    if valid & (1 << 11) != 0 || (changes.size != nil && request.caller.user != 0) {
        try SetIDBits.drop(fs, request, inode, in: &changes)
    }
    return .attributes(try fs.setAttributes(request, inode: inode, changes: changes, handle: handle))
}

/// Who has too many files open already is refused; that is no failure.
private func admit(_ fs: any FileSystem, _ request: borrowing Request, creating: Bool) throws(Errno) {
    do throws(Errno) {
        try fs.admit(
            request.caller, openFiles: request.owners?.count(of: request.caller.user) ?? 0, creating: creating)
    } catch {
        throw error.asRefusal
    }
}

private func open(
    _ fs: any FileSystem, _ request: borrowing Request, _ inode: InodeNumber, _ flags: OpenFlags
) throws(Errno) -> Reply {
    let owners = request.owners
    try admit(fs, request, creating: false)
    var opened = try fs.open(request, inode: inode, flags: flags)
    if flags.truncates || flags.isWritable && opened.backing != nil {
        do throws(Errno) {
            try SetIDBits.drop(fs, request, inode)
        } catch {
            fs.release(inode: inode, handle: opened.handle)
            throw error
        }
    }
    if let owners { opened.handle = owners.own(opened.handle, by: request.caller.user) }
    return .opened(opened, inode)
}

private func create(
    _ fs: any FileSystem, _ request: borrowing Request, _ parent: InodeNumber, _ name: EntryName, _ mode: UInt32,
    _ flags: OpenFlags
) throws(Errno) -> Reply {
    let owners = request.owners
    try admit(fs, request, creating: true)
    var created = try fs.create(request, parent: parent, name: name, mode: mode, flags: flags)
    if let owners { created.opened.handle = owners.own(created.opened.handle, by: request.caller.user) }
    return .created(created)
}

// What a request asks for, from copies: it may be another thread that does it.

private func read(
    _ fs: any FileSystem, _ request: borrowing Request, _ inode: InodeNumber, _ handle: HandleID, _ offset: off_t,
    _ size: Int, into buffer: UnsafeMutableRawBufferPointer
) throws(Errno) -> Reply {
    let source = try fs.read(request, inode: inode, handle: handle, offset: Int64(offset), size: size)
    switch source {
    case .bytes(let bytes): return .bytes(bytes)
    case .file(let descriptor), .openedFile(let descriptor):
        defer { if case .openedFile = source { try? descriptor.close() } }
        // An empty reply would say that the file ends here.
        guard buffer.count == size else { throw Errno.noMemory }
        let count = try Transfer.read(descriptor, buffer, at: offset)
        return .memory(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[0..<count]))
    }
}

/// The same, for a reply that is sent when the buffer is gone.
private func readCopied(
    _ fs: any FileSystem, _ request: borrowing Request, _ inode: InodeNumber, _ handle: HandleID, _ offset: off_t,
    _ size: Int
) throws(Errno) -> Reply {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: max(0, size), alignment: 4096)
    defer { buffer.deallocate() }
    let reply = try read(fs, request, inode, handle, offset, size, into: buffer)
    if case .memory(let bytes) = reply { return .bytes(Array(bytes)) }
    return reply
}

private func write(
    _ fs: any FileSystem, _ request: borrowing Request, _ inode: InodeNumber, _ handle: HandleID, _ offset: off_t,
    _ bytes: UnsafeRawBufferPointer
) throws(Errno) -> Reply {
    let target = try fs.write(request, inode: inode, handle: handle, offset: Int64(offset), size: bytes.count)
    try SetIDBits.drop(target, request.caller)
    do throws(Errno) {
        let count = try Transfer.write(bytes, target, at: offset, for: request.caller)
        if count < bytes.count { fs.writeFailed(inode: inode, handle: handle, .noSpace) }
        return .written(count)
    } catch {
        fs.writeFailed(inode: inode, handle: handle, error)
        throw error
    }
}

private func flush(
    _ fs: any FileSystem, _ request: borrowing Request, _ inode: InodeNumber, _ handle: HandleID
) throws(Errno) -> Reply {
    try fs.flush(request, inode: inode, handle: handle)
    return .done
}

private func sync(
    _ fs: any FileSystem, _ request: borrowing Request, _ inode: InodeNumber, _ handle: HandleID, _ dataOnly: Int32
) throws(Errno) -> Reply {
    try fs.sync(request, inode: inode, handle: handle, dataOnly: dataOnly != 0)
    return .done
}

private func syncDirectory(
    _ fs: any FileSystem, _ request: borrowing Request, _ inode: InodeNumber, _ handle: HandleID, _ dataOnly: Int32
) throws(Errno) -> Reply {
    try fs.syncDirectory(request, inode: inode, handle: handle, dataOnly: dataOnly != 0)
    return .done
}

private func allocate(
    _ fs: any FileSystem, _ request: borrowing Request, _ inode: InodeNumber, _ handle: HandleID, _ mode: Int32,
    _ offset: off_t, _ length: off_t
) throws(Errno) -> Reply {
    try SetIDBits.drop(fs, request, inode)
    try fs.allocate(
        request, inode: inode, handle: handle, mode: mode, offset: Int64(offset), length: Int64(length))
    return .done
}

private func copyRange(
    _ fs: any FileSystem, _ request: borrowing Request, _ copy: RangeCopy
) throws(Errno) -> Reply {
    try SetIDBits.drop(fs, request, copy.destination.inode)
    return .written(try fs.copyRange(request, copy))
}

/// The table of callbacks. Each closure captures nothing, as C requires, and does nothing but call `serve`.
enum Operations {
    static func table() -> fuse_lowlevel_ops {
        var table = fuse_lowlevel_ops()
        table.`init` = { userdata, connection in
            guard let userdata, let connection else { return }
            Unmanaged<Dispatcher>.fromOpaque(userdata).takeUnretainedValue().negotiation.negotiate(connection)
        }
        names(&table)
        attributes(&table)
        files(&table)
        directories(&table)
        return table
    }

    private static func names(_ table: inout fuse_lowlevel_ops) {
        table.lookup = { raw, parent, text in
            serve(raw, Doing(.lookup, parent)) { fs, request throws(Errno) in
                .entry(try fs.lookup(request, parent: number(parent), name: try name(text)))
            } later: { () throws(Errno) in
                let name = try copy(text)
                return { fs, request throws(Errno) in
                    .entry(
                        try name.withName { (name) throws(Errno) in
                            try fs.lookup(request, parent: number(parent), name: name)
                        })
                }
            }
        }
        table.forget = { raw, inode, lookups in
            serve(raw, Doing(.forget, inode)) { fs, _ throws(Errno) in
                fs.forget(number(inode), lookups: lookups)
                return .none
            }
        }
        table.forget_multi = { raw, count, forgets in
            serve(raw, Doing(.forget, 0)) { fs, _ throws(Errno) in
                for index in 0..<max(0, count) {
                    guard let forget = forgets?[index] else { break }
                    fs.forget(InodeNumber(rawValue: forget.ino), lookups: forget.nlookup)
                }
                return .none
            }
        }
        table.readlink = { raw, inode in
            serve(raw, Doing(.readlink, inode)) { fs, request throws(Errno) in
                .link(try fs.readLink(request, inode: number(inode)))
            }
        }
        table.mknod = { raw, parent, text, mode, device in
            serve(raw, Doing(.mknod, parent)) { fs, request throws(Errno) in
                .entry(
                    try fs.makeNode(
                        request, parent: number(parent), name: try name(text), mode: mode, device: UInt64(device)))
            }
        }
        table.mkdir = { raw, parent, text, mode in
            serve(raw, Doing(.mkdir, parent)) { fs, request throws(Errno) in
                .entry(try fs.makeDirectory(request, parent: number(parent), name: try name(text), mode: mode))
            }
        }
        table.symlink = { raw, target, parent, text in
            serve(raw, Doing(.symlink, parent)) { fs, request throws(Errno) in
                .entry(
                    try fs.makeSymbolicLink(
                        request, parent: number(parent), name: try name(text), target: try name(target)))
            }
        }
        table.link = { raw, inode, parent, text in
            serve(raw, Doing(.link, inode)) { fs, request throws(Errno) in
                .entry(
                    try fs.link(
                        request, inode: number(inode), newParent: number(parent), newName: try name(text)))
            }
        }
        table.unlink = { raw, parent, text in
            serve(raw, Doing(.unlink, parent)) { fs, request throws(Errno) in
                try fs.unlink(request, parent: number(parent), name: try name(text))
                return .done
            } later: { () throws(Errno) in
                let name = try copy(text)
                return { fs, request throws(Errno) in
                    try name.withName { name throws(Errno) in
                        try fs.unlink(request, parent: number(parent), name: name)
                    }
                    return .done
                }
            }
        }
        table.rmdir = { raw, parent, text in
            serve(raw, Doing(.rmdir, parent)) { fs, request throws(Errno) in
                try fs.removeDirectory(request, parent: number(parent), name: try name(text))
                return .done
            }
        }
        table.rename = { raw, parent, text, newParent, newText, flags in
            serve(raw, Doing(.rename, parent)) { fs, request throws(Errno) in
                try fs.rename(
                    request, parent: number(parent), name: try name(text), newParent: number(newParent),
                    newName: try name(newText), flags: RenameFlags(rawValue: flags))
                return .done
            } later: { () throws(Errno) in
                let (name, newName) = (try copy(text), try copy(newText))
                return { fs, request throws(Errno) in
                    try name.withName { (name) throws(Errno) in
                        try newName.withName { (newName) throws(Errno) in
                            try fs.rename(
                                request, parent: number(parent), name: name, newParent: number(newParent),
                                newName: newName, flags: RenameFlags(rawValue: flags))
                        }
                    }
                    return .done
                }
            }
        }
    }

    private static func attributes(_ table: inout fuse_lowlevel_ops) {
        table.getattr = { raw, inode, info in
            serve(raw, Doing(.getattr, inode)) { fs, request throws(Errno) in
                .attributes(
                    try fs.attributes(request, inode: number(inode), handle: info == nil ? nil : handle(info)))
            }
        }
        table.setattr = { raw, inode, attributes, valid, info in
            let handle = info == nil ? nil : handle(info)
            serve(raw, Doing(.setattr, inode)) { fs, request throws(Errno) in
                guard let attributes else { throw Errno.invalidArgument }
                return try change(fs, request, number(inode), attributes.pointee, valid: valid, handle)
            } later: { () throws(Errno) in
                guard let copy = attributes?.pointee else { throw Errno.invalidArgument }
                return { fs, request throws(Errno) in
                    try change(fs, request, number(inode), copy, valid: valid, handle)
                }
            }
        }
        table.statfs = { raw, inode in
            serve(raw, Doing(.statfs, inode)) { fs, request throws(Errno) in
                .statistics(try fs.statistics(request, inode: number(inode)))
            }
        }
        table.access = { raw, inode, mode in
            serve(raw, Doing(.access, inode)) { fs, request throws(Errno) in
                try fs.access(request, inode: number(inode), mode: mode)
                return .done
            }
        }
        table.getxattr = { raw, inode, text, size in
            serve(raw, Doing(.getxattr, inode)) { fs, request throws(Errno) in
                .attributeValue(
                    try fs.extendedAttribute(request, inode: number(inode), name: try name(text)), size: size)
            }
        }
        table.listxattr = { raw, inode, size in
            serve(raw, Doing(.listxattr, inode)) { fs, request throws(Errno) in
                .attributeValue(try fs.extendedAttributeNames(request, inode: number(inode)), size: size)
            }
        }
        table.setxattr = { raw, inode, text, value, size, flags in
            serve(raw, Doing(.setxattr, inode)) { fs, request throws(Errno) in
                try fs.setExtendedAttribute(
                    request, inode: number(inode), name: try name(text),
                    value: UnsafeRawBufferPointer(start: value, count: value == nil ? 0 : size), flags: flags)
                return .done
            } later: { () throws(Errno) in
                let name = try copy(text)
                let bytes = Array(UnsafeRawBufferPointer(start: value, count: value == nil ? 0 : size))
                return { fs, request throws(Errno) in
                    try name.withName { name throws(Errno) in
                        try bytes.withUnsafeBufferPointer { bytes throws(Errno) in
                            try fs.setExtendedAttribute(
                                request, inode: number(inode), name: name, value: UnsafeRawBufferPointer(bytes),
                                flags: flags)
                        }
                    }
                    return .done
                }
            }
        }
        table.removexattr = { raw, inode, text in
            serve(raw, Doing(.removexattr, inode)) { fs, request throws(Errno) in
                try fs.removeExtendedAttribute(request, inode: number(inode), name: try name(text))
                return .done
            } later: { () throws(Errno) in
                let name = try copy(text)
                return { fs, request throws(Errno) in
                    try name.withName { name throws(Errno) in
                        try fs.removeExtendedAttribute(request, inode: number(inode), name: name)
                    }
                    return .done
                }
            }
        }
        table.ioctl = { raw, inode, command, _, _, _, _, _, outSize in
            serve(raw, Doing(.ioctl, inode)) { fs, request throws(Errno) -> Reply in
                try control(
                    fs, request, number(inode), command: UInt32(truncatingIfNeeded: command), size: Int(outSize))
            }
        }
    }

    private static func files(_ table: inout fuse_lowlevel_ops) {
        table.open = { raw, inode, info in
            let flags = OpenFlags(rawValue: info?.pointee.flags ?? 0)
            serve(raw, Doing(.open, inode)) { fs, request throws(Errno) in
                try open(fs, request, number(inode), flags)
            } later: { () throws(Errno) in
                { fs, request throws(Errno) in try open(fs, request, number(inode), flags) }
            }
        }
        table.create = { raw, parent, text, mode, info in
            let flags = OpenFlags(rawValue: info?.pointee.flags ?? 0)
            serve(raw, Doing(.create, parent)) { fs, request throws(Errno) in
                try create(fs, request, number(parent), try name(text), mode, flags)
            } later: { () throws(Errno) in
                let name = try copy(text)
                return { fs, request throws(Errno) in
                    try name.withName { name throws(Errno) in
                        try create(fs, request, number(parent), name, mode, flags)
                    }
                }
            }
        }
        table.read = { raw, inode, size, offset, info in
            guard let raw else { return }
            let handle = handle(info)
            // The bytes must live until the reply is sent, so the reply is sent from inside.
            TransferBuffer.withBuffer(size) { buffer in
                serve(raw, Doing(.read, inode)) { fs, request throws(Errno) in
                    let crowd = request.crowd
                    if let crowd, !crowd.enter() { throw Errno.takesLong }
                    defer { crowd?.leave() }
                    return try read(fs, request, number(inode), handle, offset, size, into: buffer)
                } later: { () throws(Errno) in
                    { fs, request throws(Errno) in
                        try readCopied(fs, request, number(inode), handle, offset, size)
                    }
                }
            }
        }
        table.write = { raw, inode, bytes, size, offset, info in
            let handle = handle(info)
            let bytes = UnsafeRawBufferPointer(start: bytes, count: bytes == nil ? 0 : size)
            var copy: Crowd.Copy?
            serve(raw, Doing(.write, inode)) { fs, request throws(Errno) in
                let crowd = request.crowd
                let isIn = crowd?.enter() ?? false
                defer { if isIn { crowd?.leave() } }
                if let crowd, !isIn {
                    copy = crowd.copy(bytes)
                    if copy != nil { throw Errno.takesLong }
                }
                return try write(fs, request, number(inode), handle, offset, bytes)
            } later: { () throws(Errno) in
                guard let copy else { throw Errno.noMemory }
                return { fs, request throws(Errno) in
                    try copy.bytes.withUnsafeBufferPointer { bytes throws(Errno) in
                        try write(fs, request, number(inode), handle, offset, UnsafeRawBufferPointer(bytes))
                    }
                }
            }
        }
        table.flush = { raw, inode, info in
            let handle = handle(info)
            serve(raw, Doing(.flush, inode)) { fs, request throws(Errno) in
                try flush(fs, request, number(inode), handle)
            } later: { () throws(Errno) in
                { fs, request throws(Errno) in try flush(fs, request, number(inode), handle) }
            }
        }
        table.release = { raw, inode, info in
            serve(raw, Doing(.release, inode)) { fs, request throws(Errno) in
                let handle = whole(info)
                fs.release(inode: number(inode), handle: request.owners?.release(handle) ?? handle)
                return .done
            }
        }
        table.fsync = { raw, inode, dataOnly, info in
            let handle = handle(info)
            serve(raw, Doing(.fsync, inode)) { fs, request throws(Errno) in
                try sync(fs, request, number(inode), handle, dataOnly)
            } later: { () throws(Errno) in
                { fs, request throws(Errno) in try sync(fs, request, number(inode), handle, dataOnly) }
            }
        }
        table.fallocate = { raw, inode, mode, offset, length, info in
            let handle = handle(info)
            serve(raw, Doing(.fallocate, inode)) { fs, request throws(Errno) in
                try allocate(fs, request, number(inode), handle, mode, offset, length)
            } later: { () throws(Errno) in
                { fs, request throws(Errno) in
                    try allocate(fs, request, number(inode), handle, mode, offset, length)
                }
            }
        }
        table.copy_file_range = { raw, from, fromOffset, fromInfo, to, toOffset, toInfo, length, _ in
            let copy = RangeCopy(
                source: (number(from), handle(fromInfo), Int64(fromOffset)),
                destination: (number(to), handle(toInfo), Int64(toOffset)), length: length)
            serve(raw, Doing(.copyFileRange, to)) { fs, request throws(Errno) in
                try copyRange(fs, request, copy)
            } later: { () throws(Errno) in
                { fs, request throws(Errno) in try copyRange(fs, request, copy) }
            }
        }
        table.lseek = { raw, inode, offset, whence, info in
            serve(raw, Doing(.lseek, inode)) { fs, request throws(Errno) in
                .position(
                    try fs.seek(
                        request, inode: number(inode), handle: handle(info), offset: Int64(offset), whence: whence))
            }
        }
    }

    private static func directories(_ table: inout fuse_lowlevel_ops) {
        table.opendir = { raw, inode, _ in
            serve(raw, Doing(.opendir, inode)) { fs, request throws(Errno) in
                .openedDirectory(try fs.openDirectory(request, inode: number(inode)), number(inode))
            } later: { () throws(Errno) in
                { fs, request throws(Errno) in
                    .openedDirectory(try fs.openDirectory(request, inode: number(inode)), number(inode))
                }
            }
        }
        table.readdir = { raw, inode, size, offset, info in
            list(raw, inode, size, offset, info, wantsAttributes: false)
        }
        table.readdirplus = { raw, inode, size, offset, info in
            list(raw, inode, size, offset, info, wantsAttributes: true)
        }
        table.releasedir = { raw, inode, info in
            serve(raw, Doing(.releasedir, inode)) { fs, _ throws(Errno) in
                fs.releaseDirectory(inode: number(inode), handle: handle(info))
                return .done
            }
        }
        table.fsyncdir = { raw, inode, dataOnly, info in
            let handle = handle(info)
            serve(raw, Doing(.fsyncdir, inode)) { fs, request throws(Errno) in
                try syncDirectory(fs, request, number(inode), handle, dataOnly)
            } later: { () throws(Errno) in
                { fs, request throws(Errno) in try syncDirectory(fs, request, number(inode), handle, dataOnly) }
            }
        }
    }
}
