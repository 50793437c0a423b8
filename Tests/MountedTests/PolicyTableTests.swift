import CLinux
import Glibc
import SystemPackage
import TestSupport
import Testing

/// SEMANTICS 2 on the real mount, by system calls: every operation in every state gives the errno that the table says, and
/// a refusal changes nothing.
extension MountedTests {
    @Suite struct PolicyTableTests {
        /// The columns. `live` twice: in a typed directory and in a free one.
        enum State: String, CaseIterable { case transient, writing, empty, sealing, sealed, live, free, frozen }

        /// A file in a state.
        struct Subject {
            let path: String
            let bytes: String
            /// The test's own handle that keeps it in `writing`.
            var handle: Int32?
            /// A path beside it under which nothing is.
            let fresh: String
        }

        /// A way to ask for an operation. `expected` has the answers in the order of `State`; nil is success.
        struct Row: Sendable {
            let name: String
            /// transient, writing, empty, sealing and sealed, live, free, frozen
            let answers: [Errno?]
            let act: @Sendable (Subject, Subject) throws(Errno) -> Void

            func answer(in state: State) -> Errno? {
                switch state {
                case .transient: answers[0]
                case .writing: answers[1]
                case .empty: answers[2]
                case .sealing, .sealed: answers[3]
                case .live: answers[4]
                case .free: answers[5]
                case .frozen: answers[6]
                }
            }
        }

        private static let eperm = Errno.notPermitted
        private static let eexist = Errno.fileExists
        private static let einval = Errno.invalidArgument
        private static let changeable: [Errno?] = [nil, nil, nil, eperm, nil, nil, eperm]
        private static let ownersAlways: [Errno?] = [nil, nil, nil, nil, nil, nil, eperm]
        private static let truncating: [Errno?] = [nil, eexist, nil, eexist, nil, nil, eperm]
        private static let link: [Errno?] = [eperm, eperm, eperm, eperm, nil, nil, eperm]

        /// Each row's second subject is another file in the same state.
        static let rows: [Row] = [
            Row(name: "open to read", answers: [nil, nil, nil, nil, nil, nil, nil]) { file, _ throws(Errno) in
                guard try contents(file.path) == file.bytes else { throw Errno.ioError }
            },
            Row(name: "open O_WRONLY|O_TRUNC", answers: truncating) { file, _ throws(Errno) in
                try openAndClose(file.path, O_WRONLY | O_TRUNC)
            },
            Row(name: "open O_RDWR|O_TRUNC", answers: truncating) { file, _ throws(Errno) in
                try openAndClose(file.path, O_RDWR | O_TRUNC)
            },
            Row(name: "open O_WRONLY|O_CREAT|O_TRUNC", answers: truncating) { file, _ throws(Errno) in
                try openAndClose(file.path, O_WRONLY | O_CREAT | O_TRUNC)
            },
            Row(name: "open O_CREAT|O_EXCL", answers: [Errno?](repeating: eexist, count: 7)) { file, _ throws(Errno) in
                try openAndClose(file.path, O_WRONLY | O_CREAT | O_EXCL)
            },
            Row(name: "open O_WRONLY", answers: changeable) { file, _ throws(Errno) in
                try openAndClose(file.path, O_WRONLY)
            },
            Row(name: "open O_RDWR", answers: changeable) { file, _ throws(Errno) in
                try openAndClose(file.path, O_RDWR)
            },
            Row(name: "open O_WRONLY|O_APPEND|O_CREAT", answers: changeable) { file, _ throws(Errno) in
                try openAndClose(file.path, O_WRONLY | O_APPEND | O_CREAT)
            },
            Row(name: "write, fallocate and mmap store on a handle", answers: changeable) { file, _ throws(Errno) in
                try Self.writeThroughHandle(file)
            },
            Row(name: "truncate", answers: [nil, eperm, nil, eperm, nil, nil, eperm]) { file, _ throws(Errno) in
                try check(Glibc.truncate(file.path, 4))
            },
            Row(name: "rename from", answers: [nil, .resourceBusy, nil, eperm, nil, nil, eperm]) {
                file, _ throws(Errno) in
                try move(file.path, file.fresh)
            },
            Row(name: "exchange", answers: [einval, einval, einval, eperm, einval, nil, eperm]) {
                file, other throws(Errno) in
                try MountedTests.exchangeNames(file.path, other.path)
            },
            Row(name: "unlink", answers: changeable) { file, _ throws(Errno) in try remove(file.path) },
            Row(name: "link from", answers: link) { file, _ throws(Errno) in try hardLink(file.path, file.fresh) },
            Row(name: "chmod", answers: ownersAlways) { file, _ throws(Errno) in try setMode(file.path, 0o640) },
            Row(name: "chown", answers: changeable) { file, _ throws(Errno) in
                try check(Glibc.chown(file.path, 65534, 65534))
            },
            Row(name: "utimensat", answers: ownersAlways) { file, _ throws(Errno) in try setTimes(file.path, 1_000_000)
            },
            Row(name: "setxattr user.artifact.note", answers: changeable) { file, _ throws(Errno) in
                try setExtendedAttribute("user.artifact.note", "why", of: file.path)
            },
            Row(name: "setxattr user.other", answers: changeable) { file, _ throws(Errno) in
                try setExtendedAttribute("user.other", "value", of: file.path)
            },
        ]

        @Test(arguments: MountVariant.both) func everyOperationInEveryState(_ variant: MountVariant) throws {
            let stage = try Stage(variant)
            for state in State.allCases {
                for row in Self.rows {
                    // Where nothing can be opened for writing, there is no handle to write to.
                    let subject = try stage.make(state)
                    let other = try stage.make(state)
                    defer { for case let handle? in [subject.handle, other.handle] { close(handle) } }
                    try stage.expect(row.answer(in: state), "\(row.name), \(state.rawValue)", subject) {
                        () throws(Errno) in
                        try row.act(subject, other)
                    }
                }
            }
        }

        /// What is renamed onto a file is a finished transient file in production, and one of the session's elsewhere.
        @Test(arguments: MountVariant.both) func renameOnto(_ variant: MountVariant) throws {
            let stage = try Stage(variant)
            let answers: [State: Errno] = [
                .writing: Self.eexist, .sealing: Self.eexist, .sealed: Self.eexist, .frozen: Self.eperm,
            ]
            for state in State.allCases {
                let target = try stage.make(state)
                defer { if let handle = target.handle { close(handle) } }
                let source = try stage.make(
                    [.live: State.live, .free: .free, .frozen: .live][state] ?? .transient)
                try stage.expect(answers[state], "rename onto, \(state.rawValue)", target) { () throws(Errno) in
                    try move(source.path, target.path)
                }
                if answers[state] != nil {
                    #expect(try contents(source.path) == source.bytes, "the source of a refused rename stays")
                } else {
                    #expect(!exists(source.path))
                    #expect(try contents(target.path) == source.bytes)
                }
            }
        }

        /// A hard link into a typed directory from where links are allowed.
        @Test(arguments: MountVariant.both) func linkInto(_ variant: MountVariant) throws {
            let stage = try Stage(variant)
            let source = try stage.make(.free)
            for directory in [
                stage.mount.production("base/analysis_sequences"), stage.mount.session("base/analysis_sequences"),
            ] {
                let path = directory + "/chr907.tsv"
                try stage.expect(Self.eperm, "link to \(path)", source) { () throws(Errno) in
                    try hardLink(source.path, path)
                }
                #expect(!exists(path))
            }
        }

        /// Appending to a file that somebody else writes.
        @Test(arguments: MountVariant.both) func writingIsForTheSameUser(_ variant: MountVariant) throws {
            let stage = try Stage(variant.with { $0.allowOther = true })
            let subject = try stage.make(.writing)
            defer { if let handle = subject.handle { close(handle) } }
            try setMode(subject.path, 0o666)
            let outcome = try run(["bash", "-c", "echo more >> \"$0\"", subject.path], user: .nobody)
            #expect(outcome.errors.hasSuffix(": Operation not permitted\n"), "\(outcome)")
        }

        // MARK: - How

        private static func writeThroughHandle(_ file: Subject) throws(Errno) {
            let handle: Int32 =
                if let handle = file.handle { handle } else { try openFile(file.path, O_RDWR) }
            defer { if file.handle == nil { close(handle) } }
            try writeAll(handle, "a\tb\n3\t4\n5\t6\n", at: 0)
            try check(clinux_fallocate(handle, 0, 0, 4096))
            try check(ftruncate(handle, 12))
            guard file.handle == nil, let memory = mmap(nil, 12, PROT_READ | PROT_WRITE, MAP_SHARED, handle, 0),
                memory != MAP_FAILED
            else {
                if file.handle == nil { throw Errno(rawValue: errno) }
                return
            }
            memory.storeBytes(of: UInt8(ascii: "7"), toByteOffset: 4, as: UInt8.self)
            try check(msync(memory, 12, MS_SYNC))
            munmap(memory, 12)
            guard try contents(file.path) == "a\tb\n7\t4\n5\t6\n".prefix(12) else { throw Errno.ioError }
        }
    }

    static func exchangeNames(_ one: String, _ other: String) throws(Errno) { try exchange(one, other) }
}
