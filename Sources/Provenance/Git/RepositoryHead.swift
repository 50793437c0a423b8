internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// What is checked out.
struct RepositoryHead: Sendable, Equatable {
    /// The commit; nil before the first one.
    var commit: ObjectID?
    /// The branch, as bytes; nil when none is checked out.
    var branch: [UInt8]?

    /// As many refs in a row as git reads (refs-internal.h, `SYMREF_MAXDEPTH`).
    private static let mostRefs = 5

    /// - Throws: when it cannot be read, or is nothing that git would take.
    static func read(by reader: inout RepositoryReader, _ form: RepositoryForm) throws(Errno) -> RepositoryHead {
        var name = Array("HEAD".utf8)
        for depth in 0..<mostRefs {
            switch try text(of: name, by: &reader, form) {
            case .symbolic(let next): name = next
            case .object(let id):
                return RepositoryHead(commit: id, branch: depth > 0 ? RefName.branch(name) : nil)
            case nil:
                guard depth > 0 else { throw .noSuchFileOrDirectory }
                return RepositoryHead(commit: nil, branch: RefName.branch(name))
            }
        }
        throw .tooManySymbolicLinkLevels
    }

    /// What a ref is; nil when there is no such ref.
    private static func text(
        of name: [UInt8], by reader: inout RepositoryReader, _ form: RepositoryForm
    ) throws(Errno) -> RefText? {
        let part: RepositoryPlace.Part = RefName.isOfWorkingTree(name) ? .own : .common
        if let link = try symbolicLink(part, name, by: &reader) { return .symbolic(link) }
        if let bytes = try reader.contents(part, name, limit: RefText.limit) {
            guard let text = RefText(bytes, form.objects) else { throw .invalidArgument }
            return text
        }
        guard part == .common else { return nil }
        let found = try reader.withFile(.common, Array("packed-refs".utf8)) { file throws(Errno) in
            try file.reading { open, attributes throws(Errno) in
                try PackedRefs.find(name, in: open, attributes, form.objects)
            }
        }
        return (found ?? nil).map { .object($0) }
    }

    /// The older way of a symbolic ref: a symbolic link with a ref's name.
    private static func symbolicLink(
        _ part: RepositoryPlace.Part, _ name: [UInt8], by reader: inout RepositoryReader
    ) throws(Errno) -> [UInt8]? {
        let directory = reader.place.directory(part)
        guard let found = try directory.attributes(of: name), found.isSymbolicLink else { return nil }
        _ = try reader.look(part, name)
        let target = try withExtendedLifetime(directory) { () throws(Errno) in
            try withName(name) { text throws(Errno) in
                let link = HeldFile(try SystemCall.openPath(text, in: directory.descriptor))
                return try withExtendedLifetime(link) { () throws(Errno) in
                    try SystemCall.linkTarget(link.descriptor)
                }
            }
        }
        return RefName.isValid(target) ? target : nil
    }
}
