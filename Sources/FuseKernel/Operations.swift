internal import CFuse
internal import CLinux
internal import Glibc
internal import SystemPackage

/// Answers one request with what a handler returns or throws.
private func serve(
    _ raw: fuse_req_t?, _ body: (any FileSystem, borrowing Request) throws(Errno) -> Reply
) {
    guard let raw, let userdata = fuse_req_userdata(raw) else { return }
    Unmanaged<Dispatcher>.fromOpaque(userdata)._withUnsafeGuaranteedRef { dispatcher in
        dispatcher.startIfNeeded()
        let request = Request(raw)
        do throws(Errno) {
            let reply = try body(dispatcher.fileSystem, request)
            if !request.answer(reply) { takeBack(reply, dispatcher.fileSystem) }
        } catch {
            _ = request.answer(.error(error))
        }
    }
}

/// Nobody waited for the reply any more (the caller was interrupted): what it handed out will never be released or forgotten.
private func takeBack(_ reply: Reply, _ fileSystem: any FileSystem) {
    switch reply {
    case .entry(let entry): if entry.inode.rawValue != 0 { fileSystem.forget(entry.inode, lookups: 1) }
    case .created(let created):
        fileSystem.release(inode: created.entry.inode, handle: created.opened.handle)
        fileSystem.forget(created.entry.inode, lookups: 1)
    // Of these the inode is known to the callback only: `serveOpen`.
    default: break
    }
}

/// Answers OPEN or OPENDIR. When nobody waits for the handle any more, no RELEASE will come for it.
private func serveOpen(
    _ raw: fuse_req_t?, _ body: (any FileSystem, borrowing Request) throws(Errno) -> Reply,
    takeBack: (any FileSystem, HandleID) -> Void
) {
    guard let raw, let userdata = fuse_req_userdata(raw) else { return }
    Unmanaged<Dispatcher>.fromOpaque(userdata)._withUnsafeGuaranteedRef { dispatcher in
        dispatcher.startIfNeeded()
        let request = Request(raw)
        do throws(Errno) {
            let reply = try body(dispatcher.fileSystem, request)
            guard !request.answer(reply) else { return }
            switch reply {
            case .opened(let opened): takeBack(dispatcher.fileSystem, opened.handle)
            case .openedDirectory(let opened): takeBack(dispatcher.fileSystem, opened.handle)
            default: break
            }
        } catch {
            _ = request.answer(.error(error))
        }
    }
}

private func number(_ inode: fuse_ino_t) -> InodeNumber { InodeNumber(rawValue: UInt64(inode)) }

private func handle(_ info: UnsafeMutablePointer<fuse_file_info>?) -> HandleID {
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
    serve(raw) { fs, request throws(Errno) in
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
            serve(raw) { fs, request throws(Errno) in
                .entry(try fs.lookup(request, parent: number(parent), name: try name(text)))
            }
        }
        table.forget = { raw, inode, lookups in
            serve(raw) { fs, _ throws(Errno) in
                fs.forget(number(inode), lookups: lookups)
                return .none
            }
        }
        table.forget_multi = { raw, count, forgets in
            serve(raw) { fs, _ throws(Errno) in
                for index in 0..<count {
                    guard let forget = forgets?[index] else { break }
                    fs.forget(InodeNumber(rawValue: forget.ino), lookups: forget.nlookup)
                }
                return .none
            }
        }
        table.readlink = { raw, inode in
            serve(raw) { fs, request throws(Errno) in .link(try fs.readLink(request, inode: number(inode))) }
        }
        table.mknod = { raw, parent, text, mode, device in
            serve(raw) { fs, request throws(Errno) in
                .entry(
                    try fs.makeNode(
                        request, parent: number(parent), name: try name(text), mode: mode, device: UInt64(device)))
            }
        }
        table.mkdir = { raw, parent, text, mode in
            serve(raw) { fs, request throws(Errno) in
                .entry(try fs.makeDirectory(request, parent: number(parent), name: try name(text), mode: mode))
            }
        }
        table.symlink = { raw, target, parent, text in
            serve(raw) { fs, request throws(Errno) in
                .entry(
                    try fs.makeSymbolicLink(
                        request, parent: number(parent), name: try name(text), target: try name(target)))
            }
        }
        table.link = { raw, inode, parent, text in
            serve(raw) { fs, request throws(Errno) in
                .entry(
                    try fs.link(
                        request, inode: number(inode), newParent: number(parent), newName: try name(text)))
            }
        }
        table.unlink = { raw, parent, text in
            serve(raw) { fs, request throws(Errno) in
                try fs.unlink(request, parent: number(parent), name: try name(text))
                return .done
            }
        }
        table.rmdir = { raw, parent, text in
            serve(raw) { fs, request throws(Errno) in
                try fs.removeDirectory(request, parent: number(parent), name: try name(text))
                return .done
            }
        }
        table.rename = { raw, parent, text, newParent, newText, flags in
            serve(raw) { fs, request throws(Errno) in
                try fs.rename(
                    request, parent: number(parent), name: try name(text), newParent: number(newParent),
                    newName: try name(newText), flags: RenameFlags(rawValue: flags))
                return .done
            }
        }
    }

    private static func attributes(_ table: inout fuse_lowlevel_ops) {
        table.getattr = { raw, inode, info in
            serve(raw) { fs, request throws(Errno) in
                .attributes(
                    try fs.attributes(request, inode: number(inode), handle: info == nil ? nil : handle(info)))
            }
        }
        table.setattr = { raw, inode, attributes, valid, info in
            serve(raw) { fs, request throws(Errno) in
                guard let attributes else { throw Errno.invalidArgument }
                var changes = changes(attributes.pointee, valid: valid)
                // 3.14 masks the kernel's bit 11 away; it stands for "the caller has not CAP_FSETID", which is root's.
                if valid & (1 << 11) != 0 || (changes.size != nil && request.caller.user != 0) {
                    try SetIDBits.drop(fs, request, number(inode), in: &changes)
                }
                return .attributes(
                    try fs.setAttributes(
                        request, inode: number(inode), changes: changes, handle: info == nil ? nil : handle(info)))
            }
        }
        table.statfs = { raw, inode in
            serve(raw) { fs, request throws(Errno) in
                .statistics(try fs.statistics(request, inode: number(inode)))
            }
        }
        table.access = { raw, inode, mode in
            serve(raw) { fs, request throws(Errno) in
                try fs.access(request, inode: number(inode), mode: mode)
                return .done
            }
        }
        table.getxattr = { raw, inode, text, size in
            serve(raw) { fs, request throws(Errno) in
                .attributeValue(
                    try fs.extendedAttribute(request, inode: number(inode), name: try name(text)), size: size)
            }
        }
        table.listxattr = { raw, inode, size in
            serve(raw) { fs, request throws(Errno) in
                .attributeValue(try fs.extendedAttributeNames(request, inode: number(inode)), size: size)
            }
        }
        table.setxattr = { raw, inode, text, value, size, flags in
            serve(raw) { fs, request throws(Errno) in
                try fs.setExtendedAttribute(
                    request, inode: number(inode), name: try name(text),
                    value: UnsafeRawBufferPointer(start: value, count: value == nil ? 0 : size), flags: flags)
                return .done
            }
        }
        table.removexattr = { raw, inode, text in
            serve(raw) { fs, request throws(Errno) in
                try fs.removeExtendedAttribute(request, inode: number(inode), name: try name(text))
                return .done
            }
        }
        table.ioctl = { raw, inode, command, _, _, _, _, _, outSize in
            serve(raw) { fs, request throws(Errno) -> Reply in
                try control(
                    fs, request, number(inode), command: UInt32(truncatingIfNeeded: command), size: Int(outSize))
            }
        }
    }

    private static func files(_ table: inout fuse_lowlevel_ops) {
        table.open = { raw, inode, info in
            serveOpen(raw) { fs, request throws(Errno) in
                let flags = OpenFlags(rawValue: info?.pointee.flags ?? 0)
                let opened = try fs.open(request, inode: number(inode), flags: flags)
                guard flags.truncates || flags.isWritable && opened.backing != nil else { return .opened(opened) }
                do throws(Errno) {
                    try SetIDBits.drop(fs, request, number(inode))
                } catch {
                    fs.release(inode: number(inode), handle: opened.handle)
                    throw error
                }
                return .opened(opened)
            } takeBack: {
                $0.release(inode: number(inode), handle: $1)
            }
        }
        table.create = { raw, parent, text, mode, info in
            serve(raw) { fs, request throws(Errno) in
                .created(
                    try fs.create(
                        request, parent: number(parent), name: try name(text), mode: mode,
                        flags: OpenFlags(rawValue: info?.pointee.flags ?? 0)))
            }
        }
        table.read = { raw, inode, size, offset, info in
            guard let raw else { return }
            // The bytes must live until the reply is sent, so the reply is sent from inside.
            TransferBuffer.withBuffer(size) { buffer in
                serve(raw) { fs, request throws(Errno) in
                    let source = try fs.read(
                        request, inode: number(inode), handle: handle(info), offset: Int64(offset), size: size)
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
            }
        }
        table.write = { raw, inode, bytes, size, offset, info in
            serve(raw) { fs, request throws(Errno) in
                let target = try fs.write(
                    request, inode: number(inode), handle: handle(info), offset: Int64(offset), size: size)
                try SetIDBits.drop(target, request.caller)
                return .written(
                    try Transfer.write(UnsafeRawBufferPointer(start: bytes, count: size), target, at: offset))
            }
        }
        table.flush = { raw, inode, info in
            serve(raw) { fs, request throws(Errno) in
                try fs.flush(request, inode: number(inode), handle: handle(info))
                return .done
            }
        }
        table.release = { raw, inode, info in
            serve(raw) { fs, _ throws(Errno) in
                fs.release(inode: number(inode), handle: handle(info))
                return .done
            }
        }
        table.fsync = { raw, inode, dataOnly, info in
            serve(raw) { fs, request throws(Errno) in
                try fs.sync(request, inode: number(inode), handle: handle(info), dataOnly: dataOnly != 0)
                return .done
            }
        }
        table.fallocate = { raw, inode, mode, offset, length, info in
            serve(raw) { fs, request throws(Errno) in
                try SetIDBits.drop(fs, request, number(inode))
                try fs.allocate(
                    request, inode: number(inode), handle: handle(info), mode: mode, offset: Int64(offset),
                    length: Int64(length))
                return .done
            }
        }
        table.copy_file_range = { raw, from, fromOffset, fromInfo, to, toOffset, toInfo, length, _ in
            serve(raw) { fs, request throws(Errno) in
                let copy = RangeCopy(
                    source: (number(from), handle(fromInfo), Int64(fromOffset)),
                    destination: (number(to), handle(toInfo), Int64(toOffset)), length: length)
                try SetIDBits.drop(fs, request, number(to))
                return .written(try fs.copyRange(request, copy))
            }
        }
        table.lseek = { raw, inode, offset, whence, info in
            serve(raw) { fs, request throws(Errno) in
                .position(
                    try fs.seek(
                        request, inode: number(inode), handle: handle(info), offset: Int64(offset), whence: whence))
            }
        }
    }

    private static func directories(_ table: inout fuse_lowlevel_ops) {
        table.opendir = { raw, inode, _ in
            serveOpen(raw) { fs, request throws(Errno) in
                .openedDirectory(try fs.openDirectory(request, inode: number(inode)))
            } takeBack: {
                $0.releaseDirectory(inode: number(inode), handle: $1)
            }
        }
        table.readdir = { raw, inode, size, offset, info in
            list(raw, inode, size, offset, info, wantsAttributes: false)
        }
        table.readdirplus = { raw, inode, size, offset, info in
            list(raw, inode, size, offset, info, wantsAttributes: true)
        }
        table.releasedir = { raw, inode, info in
            serve(raw) { fs, _ throws(Errno) in
                fs.releaseDirectory(inode: number(inode), handle: handle(info))
                return .done
            }
        }
        table.fsyncdir = { raw, inode, dataOnly, info in
            serve(raw) { fs, request throws(Errno) in
                try fs.syncDirectory(request, inode: number(inode), handle: handle(info), dataOnly: dataOnly != 0)
                return .done
            }
        }
    }
}
