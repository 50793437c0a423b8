import Artifacts
import SystemPackage
import Testing

/// The policy's table for files that exist, as text; every cell is compared with the code.
private let policyTable = """
    | operation | transient | writing | empty | settling | held | sealing, sealed | live | frozen |
    | --- | --- | --- | --- | --- | --- | --- | --- | --- |
    | open to read | yes | the same job; else `EBUSY` (2.2) | yes | the same job; else `EBUSY` (2.2) | the same job; else `EBUSY` (2.7) | yes | yes | yes |
    | open to write, `O_TRUNC` | yes | `EEXIST` | yes | `EEXIST` | the same job; else `EEXIST` | `EEXIST` | yes | `EPERM` |
    | open to write, no `O_TRUNC` | yes | yes, for the same user | yes | the same job; else `EPERM` | the same job; else `EPERM` | `EPERM` | yes | `EPERM` |
    | write, mmap store, fallocate on a handle open for writing | yes | yes | yes | no such handle exists | no such handle exists | no such handle exists | yes | no such handle exists |
    | truncate by path | yes | `EPERM` | yes | `EPERM` | the same job; else `EPERM` | `EPERM` | yes | `EPERM` |
    | rename from | yes | `EBUSY` | yes | the same job; else `EPERM` | the same job; else `EPERM` | `EPERM` | yes | `EPERM` |
    | rename onto | yes | `EEXIST` | yes | `EEXIST` | the same job; else `EEXIST` | `EEXIST` | yes | `EPERM` |
    | exchange (`RENAME_EXCHANGE`), either side | `EINVAL` | `EINVAL` | `EINVAL` | `EPERM` | `EPERM` | `EPERM` | free directories only | `EPERM` |
    | unlink | yes | yes: the writer's bytes go to quarantine | yes | `EPERM` | the same job; else `EPERM` | `EPERM` | yes | `EPERM` |
    | hard link to or from | `EPERM` | `EPERM` | `EPERM` | `EPERM` | `EPERM` | `EPERM` | typed and free directories | `EPERM` |
    | chmod, utimens | yes | yes | yes | yes | yes | yes (2.2) | yes | `EPERM` |
    | chown | yes | yes | yes | the same job; else `EPERM` | the same job; else `EPERM` | see 2.2 | yes | `EPERM` |
    | setxattr, removexattr `user.*` | yes | yes | yes | the same job; else `EPERM` | the same job; else `EPERM` | see 2.2 | yes | `EPERM` |
    """

private let operationsByRow: [String: Operation] = [
    "open to read": .openToRead,
    "open to write, `O_TRUNC`": .openTruncating,
    "open to write, no `O_TRUNC`": .openToWrite,
    "write, mmap store, fallocate on a handle open for writing": .writeOnHandle,
    "truncate by path": .truncate,
    "rename from": .renameFrom,
    "rename onto": .renameOnto,
    "exchange (`RENAME_EXCHANGE`), either side": .exchange,
    "unlink": .unlink,
    "hard link to or from": .link,
    "chmod, utimens": .setAttributes,
    "chown": .setOwner,
    "setxattr, removexattr `user.*`": .setExtendedAttribute,
]

private let errnos: [String: Errno] = [
    "`EEXIST`": .fileExists, "`EPERM`": .notPermitted, "`EBUSY`": .resourceBusy, "`EINVAL`": .invalidArgument,
]

private let everyFacts: [Facts] = [false, true].flatMap { user in
    [false, true].flatMap { settling in
        [false, true].flatMap { job in
            [(false, false), (false, true), (true, false), (true, true)].map {
                Facts(
                    isSameUser: user, isSameJob: job, isSettling: settling, isInOrdinaryTree: $0.0,
                    isInTypedDirectory: $0.1)
            }
        }
    }
}

/// What a cell says for some facts: nil is allowed. Throws for a cell that the tests cannot read.
private func expected(_ cell: String, row: [String], facts: Facts) throws -> Errno? {
    if let errno = errnos[cell] { return errno }
    switch cell {
    case "the same job; else `EBUSY` (2.2)", "the same job; else `EBUSY` (2.7)":
        return facts.isSameJob ? nil : .resourceBusy
    case "the same job; else `EPERM`": return facts.isSameJob ? nil : .notPermitted
    case "the same job; else `EEXIST`": return facts.isSameJob ? nil : .fileExists
    case "yes", "yes (2.2)", "yes: the writer's bytes go to quarantine": return nil
    case "yes, for the same user": return facts.isSameUser ? nil : .notPermitted
    case "see 2.2": return facts.isSettling ? nil : .notPermitted
    case "no such handle exists": return .notPermitted
    case "free directories only":
        // Elsewhere a live file is refused as the row refuses the others that may otherwise change.
        let others: Errno = try #require(errnos[row[1]])
        return facts.isInOrdinaryTree ? nil : others
    case "typed and free directories":
        let others: Errno = try #require(errnos[row[1]])
        return facts.isInOrdinaryTree || facts.isInTypedDirectory ? nil : others
    default:
        Issue.record("the table has a cell that the tests cannot read: '\(cell)'")
        throw Unreadable()
    }
}

private struct Unreadable: Error {}

/// Compares every cell of a table with the code and returns how many (operation, state, facts) were compared.
private func compare(_ text: String) throws -> Int {
    let table = try #require(MarkdownTable(in: text, headerStarting: ["operation", "transient"]))
    var compared: Set<String> = []
    for row in table.rows {
        let operation = try #require(operationsByRow[row[0]], "no operation for the row '\(row[0])'")
        #expect(row.count == table.header.count)
        for (column, cell) in zip(table.header, row).dropFirst() {
            for name in column.split(separator: ",").map({ $0.drop { $0 == " " } }) {
                let state = try #require(FileState(rawValue: String(name)), "no state '\(name)'")
                for facts in everyFacts {
                    let errno = try expected(cell, row: row, facts: facts)
                    let verdict = OverwritePolicy.judge(operation, on: state, facts: facts)
                    #expect(
                        verdict.refusal?.errno == errno, "\(operation) on \(state), \(facts): the table says '\(cell)'")
                    compared.insert("\(operation) \(state) \(facts)")
                }
            }
        }
    }
    return compared.count
}

@Suite struct PolicyTableTests {
    @Test func theCodeIsTheTable() throws {
        #expect(try compare(policyTable) == Operation.allCases.count * FileState.allCases.count * 32)
        #expect(Operation.allCases.count == 13 && FileState.allCases.count == 9)
    }

    @Test func theCodeIsTheDocument() throws {
        #expect(try compare(SemanticsDocument.text()) == 13 * 9 * 32)
    }

    /// A comparison that accepts everything would be no test: each cell, turned over, must be noticed.
    @Test func aWrongCellIsNoticed() throws {
        let table = try #require(MarkdownTable(in: policyTable, headerStarting: ["operation"]))
        var turned = 0
        for row in table.rows {
            let operation = try #require(operationsByRow[row[0]])
            for (column, cell) in zip(table.header, row).dropFirst() {
                let state = try #require(FileState(rawValue: column.hasPrefix("sealing") ? "sealed" : column))
                let wrong = cell.hasPrefix("yes") && !cell.contains("user") ? "`EPERM`" : "yes"
                let differs = try everyFacts.contains {
                    try OverwritePolicy.judge(operation, on: state, facts: $0).refusal?.errno
                        != expected(wrong, row: row, facts: $0)
                }
                #expect(differs, "\(operation) on \(state): '\(wrong)' instead of '\(cell)' went unnoticed")
                turned += 1
            }
        }
        #expect(turned == 104)
    }

    @Test func refusalsNameTheRuleThatFits() {
        for operation in Operation.allCases {
            for state in FileState.allCases {
                for facts in everyFacts {
                    guard let refusal = OverwritePolicy.judge(operation, on: state, facts: facts).refusal else {
                        continue
                    }
                    let rules: Set<Rule> =
                        switch state {
                        case .transient, .empty, .live: [.noExchange, .noLinks]
                        case .writing: [.beingWritten, .notWholeYet, .writtenByAnother, .noExchange, .noLinks]
                        case .settling: [.productionImmutable, .notWholeYet, .sealedAttributes, .noLinks]
                        case .held: [.heldByRun, .noLinks]
                        case .sealing, .sealed: [.productionImmutable, .sealedAttributes, .noLinks]
                        case .frozen: [.frozenSession]
                        }
                    #expect(rules.contains(refusal.rule), "\(operation) on \(state)")
                }
            }
        }
    }

    /// No facts open what is sealed or frozen, except its owner's times and permissions to read, and the writer's attributes in its window.
    @Test func whatIsSealedOrFrozenStaysSo() {
        for operation in Operation.allCases where operation != .openToRead {
            for facts in everyFacts {
                #expect(OverwritePolicy.judge(operation, on: .frozen, facts: facts).refusal != nil)
                let isAttribute = operation == .setOwner || operation == .setExtendedAttribute
                for state in [FileState.sealing, .sealed] {
                    let isAllowed = OverwritePolicy.judge(operation, on: state, facts: facts) == .allowed
                    let isOwners = operation == .setAttributes
                    #expect(isAllowed == (isOwners || isAttribute && facts.isSettling), "\(operation) on \(state)")
                }
            }
        }
    }

    @Test func statesComeFromWhereAFileIs() {
        #expect(OverwritePolicy.stateOfPublished(in: .production) == .sealed)
        #expect(OverwritePolicy.stateOfPublished(in: .live) == .live)
        #expect(OverwritePolicy.stateOfPublished(in: .frozen) == .frozen)
        for isSealing in [false, true] {
            for writers in 0...2 {
                #expect(
                    OverwritePolicy.stateOfStaged(isTransientName: true, writers: writers, isSealing: isSealing)
                        == .transient)
            }
        }
        func named(_ writers: Int, _ isSealing: Bool) -> FileState {
            OverwritePolicy.stateOfStaged(isTransientName: false, writers: writers, isSealing: isSealing)
        }
        #expect(named(0, false) == .empty)
        #expect(named(1, false) == .writing)
        #expect(named(2, false) == .writing)
        #expect(named(0, true) == .sealing)
        #expect(named(1, true) == .sealing)
    }
}
