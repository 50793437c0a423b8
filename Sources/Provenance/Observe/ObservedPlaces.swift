internal import SystemCalls

/// Where files outside of the store are looked at: those that are told as inputs when somebody reads them (Semantics, 4).
package struct ObservedPlaces: Sendable, Hashable {
    /// The directories that were named, without a slash at their ends but for the root; empty where none was.
    package let directories: [String]

    /// - Parameter directories: absolute; none for what is looked at where nothing is named.
    package init(directories: [String]) {
        self.directories = directories.map { directory in
            directory.utf8.last == UInt8(ascii: "/") && directory != "/" ? String(directory.dropLast()) : directory
        }
    }

    /// What the system and its programs consist of, and what comes and goes.
    private static let system: Set<String> = [
        "bin", "boot", "dev", "etc", "gnu", "lib", "lib32", "lib64", "libx32", "lost+found", "nix", "opt", "proc",
        "run", "sbin",
        "snap", "sys", "tmp", "usr", "var",
    ]
    /// Software that people have installed for themselves, by the names of its directories.
    private static let software: Set<String> = [
        "site-packages", "dist-packages", "node_modules", "__pycache__", "conda-meta",
    ]
    private static let distributions = [
        "anaconda", "mambaforge", "micromamba", "miniconda", "miniforge",
    ]
    /// What programs have below `lib`.
    private static let libraries = ["python", "R", "perl", "ruby", "jvm", "gcc"]

    /// The one of ``directories`` that a path is below, or where nothing is named the root.
    ///
    /// - Returns: where the rest of the path begins; nil when it is below none.
    private func start(of path: [UInt8]) -> Int? {
        if directories.isEmpty { return path.first == UInt8(ascii: "/") ? 1 : nil }
        return directories.lazy.compactMap { directory in
            if directory == "/" { return path.first == UInt8(ascii: "/") ? 1 : nil }
            let count = directory.utf8.count
            return path.count > count && path[count] == UInt8(ascii: "/") && path.starts(with: directory.utf8)
                ? count + 1 : nil
        }.first
    }

    /// Whether a directory's files are looked at: those of software and of settings are not.
    ///
    /// - Parameter path: absolute, without a slash at its end.
    package func showDirectory(_ path: [UInt8]) -> Bool {
        let path = path + [UInt8(ascii: "/")]
        guard let start = start(of: path) else { return false }
        let names = path[start...].split(separator: UInt8(ascii: "/")).map { String(decoding: $0, as: UTF8.self) }
        if start == 1, let top = names.first, Self.system.contains(top) { return false }
        var isLibrary = false
        for name in names {
            if name.hasPrefix(".") || Self.software.contains(name) { return false }
            if Self.distributions.contains(where: { name.lowercased().hasPrefix($0) }) { return false }
            if isLibrary, Self.libraries.contains(where: { name.hasPrefix($0) }) { return false }
            isLibrary = name == "lib" || name == "lib64"
        }
        return true
    }

    /// Whether a file is looked at.
    ///
    /// - Parameter path: absolute.
    package func show(_ path: [UInt8]) -> Bool {
        guard let slash = path.lastIndex(of: UInt8(ascii: "/")), slash + 1 < path.count else { return false }
        return Self.showName(path[(slash + 1)...]) && showDirectory(Array(path[..<slash]))
    }

    /// Whether a file of that name is: no setting, no library of a program.
    package static func showName(_ name: ArraySlice<UInt8>) -> Bool {
        name.first != UInt8(ascii: ".") && !name.ends(with: ".so") && !name.ends(with: ".pyc")
            && !name.withUnsafeBytes { SystemCall.contains($0, ".so.") }
    }
}

extension ArraySlice<UInt8> {
    fileprivate func ends(with text: String) -> Bool { suffix(text.utf8.count).elementsEqual(text.utf8) }
}
