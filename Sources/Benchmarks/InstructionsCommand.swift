import ArgumentParser
import ArtifactRecords
import Glibc

/// Instructions that the driver's handlers take, counted by valgrind's callgrind: they do not depend on what else the machine does.
struct InstructionsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "instructions", abstract: "Counts the instructions of the driver's handlers, with valgrind.",
        discussion: """
            mount-scripts/bench.sh --instructions does all of it. By hand: mount a prepared store of 1,000 artifacts with the driver \
            under 'valgrind --tool=callgrind --callgrind-out-file=FILE' (without its debugging information: strip -g), then

              artifactfs-bench instructions --drive MOUNT
              (unmount)
              artifactfs-bench instructions --read FILE --thresholds mount-scripts/bench-thresholds.json
            """)

    @Option(help: ArgumentHelp("Send every kind of request to a mount of 1,000 artifacts.", valueName: "dir"))
    var drive: String?
    @Option(help: ArgumentHelp("Report what callgrind counted.", valueName: "file")) var read: String?
    @Option(help: ArgumentHelp("Compare; exit 1 when a handler takes more.", valueName: "file")) var thresholds: String?

    private static let count = 1000
    /// The handlers by the kernel's names for the requests, with the beginning of their mangled Swift names.
    private static let handlers = [
        ("lookup", "6lookup_"), ("getattr", "10attributes_"), ("open", "4open_"), ("create", "6create_"),
        ("flush", "5flush_"), ("release", "7release5inode"), ("unlink", "6unlink_"), ("readdir", "13readDirectory_"),
        ("publish", publishing),
    ]
    /// `Volume.seal`, which publishes several files with a call.
    private static let publishing = "ArtifactDriver6VolumeC4seal"

    func validate() throws {
        guard (drive == nil) != (read == nil) else { throw ValidationError("give --drive DIR or --read FILE") }
    }

    func run() throws {
        if let drive { try send(to: drive) } else if let read { try report(read) }
    }

    /// The same requests in the same order each time.
    private func send(to mount: String) throws(BenchFailure) {
        let target = try Target(name: "driver", directory: mount)
        let block = UnsafeMutableRawPointer.allocate(byteCount: Content.blockSize, alignment: Content.blockSize)
        defer { block.deallocate() }
        Content.fill(block, number: 0, header: true)
        var facts = stat()
        let missing = PathTable(count: Self.count) { target.artifactDirectory + "/chrMissing\($0).tsv" }
        for index in 0..<Self.count where stat(missing.all[index], &facts) == 0 {
            throw BenchFailure("\(String(cString: missing.all[index])) is there")
        }
        let artifacts = PathTable(count: Self.count) { target.artifact($0) }
        for _ in 0..<2 {
            for index in 0..<Self.count {
                let file = open(artifacts.all[index], O_RDONLY | O_CLOEXEC)
                guard file >= 0 else { throw BenchFailure.call("open", artifacts.all[index]) }
                defer { close(file) }
                // A read through the driver's backing file makes the next look at the attributes a request.
                guard Glibc.read(file, block, Content.blockSize) == Content.blockSize, fstat(file, &facts) == 0 else {
                    throw BenchFailure.call("read", artifacts.all[index])
                }
            }
        }
        let fresh = PathTable(count: Self.count) { target.session("chrUn_Fresh\($0).tsv") }
        _ = try Loops.create(fresh.all, block)
        _ = try Loops.unlinkFiles(fresh.all, block)
        _ = try Loops.create(PathTable(count: Self.count) { target.published("chrUn_Sealed\($0).tsv") }.all, block)
        guard let directory = opendir(target.artifactDirectory) else { throw BenchFailure.call("open", mount) }
        while readdir(directory) != nil {}
        closedir(directory)
    }

    private func report(_ path: String) throws {
        let counted = Self.handlers(in: try TextFile.read(path))
        var limits: [(String, Double)] = []
        if let thresholds {
            let all = try JSONValue(reading: TextFile.read(thresholds), from: thresholds)
            limits = (all["instructions"]?.elements ?? []).compactMap { entry in
                guard let operation = entry["operation"]?.string, let most = entry["atMost"]?.double else { return nil }
                return (operation, most)
            }
        }
        var slower = 0
        for (operation, mangled) in Self.handlers {
            let found = counted.filter { $0.key.contains(mangled) }
            var calls = found.values.reduce(0) { $0 + $1.calls }
            guard calls > 0 else { throw BenchFailure("no call of \(operation) is in \(path)") }
            if mangled == Self.publishing { calls = Self.count }
            let each = Double(found.values.reduce(0) { $0 + $1.cost }) / Double(calls)
            var line =
                Format.left(operation, 12) + Format.right(Format.grouped(each), 10) + " instructions, "
                + Format.grouped(Double(calls)) + " calls"
            if let most = limits.first(where: { $0.0 == operation })?.1 {
                let holds = each <= most
                line = (holds ? "ok      " : "SLOWER  ") + line + ", at most \(Format.grouped(most)) wanted"
                if !holds { slower += 1 }
            }
            print(line)
        }
        if slower > 0 { throw ExitCode(1) }
    }

    /// Calls and inclusive cost of every handler of the driver's file system.
    ///
    /// The format is that of valgrind's manual, "Callgrind Format Specification": `fn=(id) name` and `cfn=(id) name` give names, later
    /// `(id)` alone; the line after `calls=count ...` ends with the inclusive cost of those calls.
    private static func handlers(in text: String) -> [String: (calls: Int, cost: Int)] {
        var names: [Substring: String] = [:]
        var counted: [String: (calls: Int, cost: Int)] = [:]
        var callee: Substring = ""
        var calls: Int?
        for line in text.split(separator: "\n") {
            if let count = calls {
                calls = nil
                guard let name = names[callee], let cost = line.split(separator: " ").last.flatMap({ Int($0) }) else {
                    continue
                }
                counted[name, default: (0, 0)].calls += count
                counted[name, default: (0, 0)].cost += cost
            } else if line.hasPrefix("calls=") {
                calls = line.dropFirst(6).split(separator: " ").first.flatMap { Int($0) }
            } else if line.hasPrefix("fn=") || line.hasPrefix("cfn=") {
                let value = line.drop { $0 != "=" }.dropFirst()
                let id = value.prefix { $0 != " " }
                let name = value.dropFirst(id.count + 1)
                // The witness by which libfuse's side calls the driver.
                if name.contains("ArtifactDriver6VolumeC10FuseKernel10FileSystem") && name.hasSuffix("TW")
                    || name.contains(publishing)
                {
                    names[id] = String(name)
                }
                if line.hasPrefix("c") { callee = id }
            }
        }
        return counted
    }
}
