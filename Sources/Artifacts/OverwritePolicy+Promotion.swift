public import SystemPackage

/// What somebody wants promoted with others.
public enum PromotionSubject: Hashable, Sendable {
    /// There is nothing.
    case nothing
    /// What is in no typed directory of a session or a test.
    case elsewhere
    /// A plain file, and how many names it has.
    case file(links: UInt64)
    /// A directory, which is an artifact by itself when its type has such and its name is one's.
    case directory
    /// A directory under the name of a file of a type that has files only.
    case strayDirectory
    /// A link, a fifo, a socket or a device.
    case special
}

extension OverwritePolicy {
    /// Judges promoting something with others (SEMANTICS 2.9): of a session that has ended too, whose files no other operation changes.
    ///
    /// - Parameters:
    ///   - name: what its name means in its directory of production.
    ///   - isTaken: whether something has the name there.
    ///   - staysThere: whether it stays where it is and a copy is promoted.
    /// - Returns: the refusal; nil when the policy agrees.
    public static func judgePromotion(
        of subject: PromotionSubject, named name: NameClass, isTaken: Bool, staysThere: Bool
    ) -> Refusal? {
        switch subject {
        case .nothing: return Refusal(.noSuchFileOrDirectory, .posix)
        case .elsewhere: return Refusal(.invalidArgument, .notPromotable)
        case .strayDirectory: return Refusal(.isDirectory, .notPromotable)
        case .special: return Refusal(.notPermitted, .notPromotable)
        case .directory: break
        case .file(let links):
            if !staysThere, let refused = judgeMoving(isRegular: true, links: links) { return refused.refusal }
        }
        switch name {
        case .artifact: return isTaken ? Refusal(.fileExists, .productionImmutable) : nil
        case .invalid(.tooLong): return Refusal(.fileNameTooLong, .nameTooLong)
        case .transient, .invalid: return Refusal(.invalidArgument, .invalidName)
        }
    }
}

/// What keeps a file from being promoted with others, besides what it is and what it is called.
public enum PromotionTrouble: Hashable, Sendable {
    /// A program has it open to write, or mapped.
    case isOpen
    /// Another of the files would have its name.
    case sameName
    /// Another writer has begun the artifact.
    case anotherWriter
    /// It is on another file system than the place where what is published comes by.
    case farAway
    /// It is none of a type's names.
    case nameless
    /// Who asks is in a run that is all or nothing.
    case inHoldingRun
    /// Publishing kept it back by a rule.
    case keptBack(Rule)
    /// The system refuses.
    case system(Errno)
}

extension OverwritePolicy {
    /// How it is refused.
    public static func judgePromotion(_ trouble: PromotionTrouble) -> Refusal {
        switch trouble {
        case .isOpen: Refusal(.resourceBusy, .beingWritten)
        case .sameName: Refusal(.fileExists, .productionImmutable)
        case .anotherWriter: Refusal(.fileExists, .anotherWriter)
        case .farAway: Refusal(.improperLink, .storeFailed)
        case .nameless: Refusal(.invalidArgument, .invalidName)
        case .inHoldingRun: Refusal(.notPermitted, .heldByRun)
        case .keptBack(.beingWritten): Refusal(.resourceBusy, .beingWritten)
        case .keptBack(let rule): .ofPublishing(rule)
        // Who asks may not, or there is nothing, as on any file system.
        case .system(let errno) where [.permissionDenied, .notPermitted, .noSuchFileOrDirectory].contains(errno):
            Refusal(errno, .posix)
        case .system(let errno): .ofSystem(errno)
        }
    }
}

extension Refusal {
    /// What to do next about what was to be promoted from a session or a test with others: there everything is as it was.
    public var wayOutOfPromotion: String {
        switch rule {
        case .beingWritten: "wait until the writer closes it"
        case .failedCheck, .emptyFile, .storeFailed, .makerFailed: Self.mendWhereItIs
        case .posix where errno != .noSuchFileOrDirectory: Self.mendWhereItIs
        default: wayOut
        }
    }

    private static let mendWhereItIs = "mend what is named, where it is: nothing has left its session"
}
