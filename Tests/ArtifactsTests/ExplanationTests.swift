import Artifacts
import SystemPackage
import Testing

/// What looking at a path tells, brought to the rules.
@Suite struct ExplanationTests {
    /// A mount of a few paths.
    private struct Sight: TreeSight {
        var kinds: [String: SeenKind] = [:]
        var attributes: [String: String] = [:]

        func kind(of path: String) -> SeenKind { kinds[path] ?? .nothing }

        func names(in path: String) -> [String] {
            kinds.keys.filter { $0.hasPrefix(path + "/") && !$0.dropFirst(path.utf8.count + 1).contains("/") }
                .map { String($0.dropFirst(path.utf8.count + 1)) }
        }

        func attribute(_ name: String, of path: String) -> String? { attributes[name] }
    }

    private static let directory = "production/base/analysis_sequences"

    private func explain(
        _ path: String, _ sight: Sight, isReadOnly: Bool = false, publishing: PublishingRule = .exit
    ) throws -> Explanation {
        let schema = try ArtifactSchema(types: ArtifactSchema.builtIn.types, publishing: publishing)
        let live = Set([try #require(SessionName("20260215_143022"))])
        return Explanation(path, on: MountFacts(schema: schema, isReadOnly: isReadOnly, liveSessions: live), by: sight)
    }

    /// Reading what is being made is for its job, as far as the driver says who asks; nothing said is nobody's job.
    @Test func whoReadsWhatIsBeingMade() throws {
        let path = Self.directory + "/chr1.tsv"
        for state in FileState.allCases {
            for asker in [nil] + [false, true].map({ Asker(isSameUser: true, isSameJob: $0) }) {
                for publishing in PublishingRule.allCases {
                    var sight = Sight(kinds: ["": .directory, Self.directory: .directory, path: .plainFile])
                    sight.attributes[ArtifactAttribute.state] = state.rawValue
                    sight.attributes[ArtifactAttribute.asker] = asker?.text
                    let verdict = try explain(path, sight, publishing: publishing).verdict(.operation(.openToRead))
                    let isJobs = publishing == .exit && (state == .writing || state == .settling)
                    let isAllowed = !(isJobs || state == .held) || asker?.isSameJob == true
                    let rule = state == .held ? Rule.heldByRun : .notWholeYet
                    #expect(verdict == (isAllowed ? .allowed : .refused(Refusal(.resourceBusy, rule))))
                }
            }
        }
    }

    /// A mount whose lease is not held changes nothing, and reads on; what a rule refuses is refused by that rule.
    @Test func aMountThatIsCutOff() throws {
        let schema = try ArtifactSchema(types: ArtifactSchema.builtIn.types)
        let path = Self.directory + "/chr1.tsv"
        var sealed = Sight(kinds: ["": .directory, Self.directory: .directory, path: .plainFile])
        sealed.attributes[ArtifactAttribute.state] = FileState.sealed.rawValue
        let free = Sight(kinds: ["": .directory, Self.directory: .directory])
        for action in Action.allCases {
            for sight in [sealed, free] {
                let verdicts = [true, false].map { isHeld in
                    Explanation(
                        path,
                        on: MountFacts(schema: schema, isReadOnly: false, liveSessions: [], isLeaseHeld: isHeld),
                        by: sight
                    ).verdict(action)
                }
                let isLeft = verdicts[0] != .allowed || action == .operation(.openToRead)
                #expect(verdicts[1] == (isLeft ? verdicts[0] : .refused(Refusal(.hostIsDown, .cutOff))), "\(action)")
            }
        }
    }

    /// What a program keeps in an ordinary tree is no word of the driver's.
    @Test func attributesOfFreeFilesAreTheirOwners() throws {
        let path = "development/20260215_143022/scratch/f"
        var sight = Sight(kinds: ["development/20260215_143022/scratch": .directory, path: .plainFile])
        sight.attributes[ArtifactAttribute.state] = FileState.sealed.rawValue
        #expect(try explain(path, sight).subject == .file(.live))
        #expect(
            try explain(
                path.replacing("2026", with: "2025"),
                Sight(kinds: [
                    "development/20250215_143022/scratch": .directory,
                    "development/20250215_143022/scratch/f": .plainFile,
                ])
            ).subject == .file(.frozen))
    }

    /// A session that is not there has not ended.
    @Test func whatIsNotThereIsNotFrozen() throws {
        let sight = Sight(kinds: ["development": .directory, "test": .directory])
        #expect(try explain("development/20250215_143022", sight).verdict(.creation(.directory)) == .allowed)
        #expect(try explain("test/t", sight).verdict(.creation(.directory)) == .allowed)
        let file = try explain("development/20250215_143022", sight).verdict(.creation(.file))
        #expect(file == .refused(Refusal(.invalidArgument, .invalidName)))
        #expect(try explain("test/t/base", sight).subject == .nowhere(parentIsFile: false))
    }

    /// Every subject and action of a read-only mount: reading as elsewhere; what the kernel says of the path before it looks at the mount
    /// stays, and everything else is refused with one errno.
    @Test func readOnlyMounts() throws {
        let test = Scope.test(try #require(TestName("t")))
        let subjects: [Subject] =
            [
                .nowhere(parentIsFile: false), .nowhere(parentIsFile: true), .nothing(.artifact(realName: "a")),
                .nothing(.transient), .nothing(.invalid(.tooLong)), .directory(.root, isEmpty: false),
                .directory(.scope(test), isEmpty: true), .directory(.scope(test), isEmpty: false),
                .made(isDirectory: true), .made(isDirectory: false), .ordinaryDirectory(isEmpty: true, .live),
                .ordinaryDirectory(isEmpty: false, .live),
            ] + FileState.allCases.map { .file($0) }
        let refused = Verdict.refused(Refusal(.readOnlyFileSystem, .readOnlyMount))
        var counts: [Errno: Int] = [:]
        for subject in subjects {
            for action in Action.allCases {
                let usual = OverwritePolicy.judge(action, on: subject, in: .plots, standing: .live)
                let verdict = OverwritePolicy.judgeReadOnly(action, on: subject, usually: usual)
                if action == .operation(.openToRead) {
                    #expect(verdict == usual)
                    continue
                }
                #expect(
                    verdict == refused || verdict == usual && usual.refusal?.rule == .posix, "\(action), \(subject)")
                counts[verdict.refusal?.errno ?? Errno(rawValue: 0), default: 0] += 1
                switch subject {
                case .nowhere: #expect(verdict == usual)
                case .file:
                    let isThere =
                        action == .creation(.directory) || action == .creation(.symbolicLink)
                        || action == .creation(.specialFile)
                    #expect(verdict.refusal?.errno == (isThere ? .fileExists : .readOnlyFileSystem))
                case .nothing:
                    let isLookedFor: [Action] = [
                        .operation(.truncate), .operation(.writeOnHandle), .operation(.link),
                        .operation(.setAttributes), .operation(.setOwner), .operation(.setExtendedAttribute),
                    ]
                    let errno: Errno = isLookedFor.contains(action) ? .noSuchFileOrDirectory : .readOnlyFileSystem
                    #expect(verdict.refusal?.errno == errno, "\(action)")
                default: break
                }
            }
        }
        #expect(counts[Errno(rawValue: 0)] == nil, "no change is allowed")
        #expect(counts.count == 6, "\(counts)")
    }

    @Test func modes() {
        for state in FileState.allCases {
            #expect(state.isImmutable == (state == .sealed || state == .sealing))
            let mode = state.permitted(mode: 0o7777)
            #expect(mode & 0o222 == 0 || !state.isImmutable)
            #expect(mode & 0o6000 == 0 || state == .live || state == .frozen)
            #expect(state.permitted(mode: 0o444) == 0o444)
        }
    }
}
