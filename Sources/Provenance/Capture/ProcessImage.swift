package import ArtifactRecords
internal import Artifacts
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// What a process was seen to be at one time: which program, with which arguments, where.
package struct ProcessImage: Sendable {
    /// Its number, in the driver's pid namespace.
    package private(set) var process: Int32
    /// Where it comes from.
    package private(set) var origin: ProcFile.Descent
    /// What `/proc/<pid>/comm` has.
    package let name: String
    /// The path of its program; nil when that is not shown, or is none in the driver's mount namespace.
    package private(set) var program: String?
    /// Its arguments, secrets masked; nil when they are not shown, and of a process that has given up its memory.
    package private(set) var arguments: [String]?
    /// Whether there are more arguments than are kept.
    package private(set) var isCut: Bool
    /// Its working directory.
    package private(set) var directory: String?
    /// Chosen members of its environment, secrets masked; nil when it is not shown.
    package let environment: JSONObject?
    /// Its pid namespace, where that is not the driver's: it may be a container's.
    package let namespace: String?

    /// Whether it sees the same files under the same names as the driver: its mount namespace and root directory are the driver's.
    let seesOwnFiles: Bool
    /// The rights with which it reads files; nil when they are not shown.
    let rights: UserRights?

    /// The driver's own pid and mount namespaces and its root directory.
    private static let own = (
        processes: ProcFile.link(getpid(), "ns/pid"), files: ProcFile.link(getpid(), "ns/mnt"),
        root: ProcFile.link(getpid(), "root")
    )

    private static func namespace(of process: Int32) -> String? {
        ProcFile.link(process, "ns/pid").flatMap { $0 == own.processes ? nil : $0 }
    }

    private static func seesOwnFiles(_ process: Int32) -> Bool {
        own.files != nil && ProcFile.link(process, "ns/mnt") == own.files
            && own.root != nil && ProcFile.link(process, "root") == own.root
    }

    /// Of a command line that much is kept, in bytes: the kernel takes up to 2 MiB.
    static let mostArgumentBytes = 32 << 10
    /// Of an environment that much is looked at.
    private static let mostEnvironmentBytes = 256 << 10
    private static let mostValueBytes = 4096

    /// Looks at a process; nil when it is gone. May wait for it: `PatientReader`.
    init?(_ process: Int32, _ names: EnvironmentNames) {
        guard let before = ProcFile.origin(of: process) else { return nil }
        name = ProcFile.program(ofThread: process)
        program = ProcFile.link(process, "exe").flatMap(Self.path)
        let words = Self.words(ProcFile.whole(process, "cmdline", atMost: Self.mostArgumentBytes + 1))
        arguments = words.map { ArgumentMask.masked($0.words) }
        isCut = words?.isCut ?? false
        directory = ProcFile.link(process, "cwd").flatMap(Self.path)
        environment = ProcFile.whole(process, "environ", atMost: Self.mostEnvironmentBytes).map {
            Self.environment($0, names)
        }
        (namespace, seesOwnFiles) = (Self.namespace(of: process), Self.seesOwnFiles(process))
        rights = ProcFile.rights(of: process)
        // What was read is of one process, and of one program, when it began at the same time and is as far.
        guard let after = ProcFile.origin(of: process), after.start == before.start,
            after.isProgram == before.isProgram, ProcFile.program(ofThread: process) == name
        else { return nil }
        (self.process, origin) = (process, after)
    }

    /// What a process is that this one has made and that has run no other program since: the same, somewhere else perhaps.
    ///
    /// - Returns: nil when it is not certain that it is such a one, or when what it may have changed is not shown.
    func child(_ process: Int32, _ sight: ProcFile.Sight, _ rights: UserRights?) -> ProcessImage? {
        let origin = sight.origin
        guard !origin.isProgram, origin.parent == self.process, origin.memory != nil,
            origin.memory == self.origin.memory, rights != nil, self.rights == rights,
            sight.name == name, Self.namespace(of: process) == namespace,
            Self.seesOwnFiles(process) == seesOwnFiles
        else { return nil }
        var image = self
        (image.process, image.origin) = (process, origin)
        return image.now
    }

    /// Whether it had become a program of its own.
    var isOfProgram: Bool { origin.isProgram }

    /// The same in the directory where it is by now: a shell goes from one to another.
    var now: ProcessImage {
        var image = self
        image.directory = ProcFile.link(process, "cwd").flatMap(Self.path)
        return image
    }

    /// The same without what may have changed with its program.
    var withoutProgram: ProcessImage {
        var image = self
        (image.program, image.arguments, image.isCut) = (nil, nil, false)
        return image
    }

    /// A path as the kernel writes it in a link of `/proc`: one that was removed is told by the path that it had.
    static func path(_ link: String) -> String? {
        let removed = " (deleted)"
        guard link.utf8.first == UInt8(ascii: "/") else { return nil }
        return link.hasSuffix(removed) ? String(link.dropLast(removed.count)) : link
    }

    /// Words that end with a zero each; nil of none.
    static func words(_ bytes: [UInt8]?) -> (words: [String], isCut: Bool)? {
        guard var bytes = bytes?[...], !bytes.isEmpty else { return nil }
        let isCut = bytes.count > mostArgumentBytes
        if isCut {
            // Whole words only; one alone is cut.
            bytes = bytes.prefix(mostArgumentBytes)
            if let end = bytes.lastIndex(of: 0) { bytes = bytes[..<end] }
        } else if bytes.last == 0 {
            bytes = bytes.dropLast()
        }
        return (bytes.split(separator: 0, omittingEmptySubsequences: false).map { NameText.text($0) }, isCut)
    }

    /// The chosen members of an environment.
    static func environment(_ bytes: [UInt8], _ names: EnvironmentNames) -> JSONObject {
        var chosen = JSONObject()
        for member in bytes.split(separator: 0) {
            guard let end = member.firstIndex(of: UInt8(ascii: "=")), end > member.startIndex else { continue }
            let name = NameText.text(member[..<end])
            guard names.contains(name), chosen[name] == nil else { continue }
            let isSecret = ArgumentMask.isSecretName(member[..<end])
            let value = NameText.text(member[(end + 1)...].prefix(mostValueBytes))
            chosen.add(name, .string(isSecret ? ArgumentMask.mask : ArgumentMask.masked(value)))
        }
        return chosen
    }
}
