/// The members of a JSON object in the order in which they were added, which is the order of their text.
public struct JSONObject: Sendable, Hashable {
    package struct Member: Sendable, Hashable {
        package let key: String
        package var value: JSONValue
    }

    /// A few, so that looking through all of them is quicker than hashing.
    package private(set) var members: [Member] = []

    /// No members.
    public init() {}

    /// A member's value; nil when there is none. Setting nil takes it out. Of members that a text has twice the last one counts.
    public subscript(key: String) -> JSONValue? {
        get { members.last { $0.key == key }?.value }
        set {
            guard let newValue else { return members.removeAll { $0.key == key } }
            if let index = members.lastIndex(where: { $0.key == key }) {
                members[index].value = newValue
            } else {
                members.append(Member(key: key, value: newValue))
            }
        }
    }

    /// Adds a member that is known not to be there, if it has a value.
    package mutating func add(_ key: String, _ value: JSONValue?) {
        if let value { members.append(Member(key: key, value: value)) }
    }

    /// Adds members that are known not to be there.
    package mutating func add(_ other: JSONObject) { members.append(contentsOf: other.members) }

    /// Adds those whose keys are not there yet.
    package mutating func addMissing(_ other: JSONObject) {
        for member in other.members where self[member.key] == nil { members.append(member) }
    }

    package mutating func reserve(_ count: Int) { members.reserveCapacity(count) }

    /// The keys with their values, in the order of the keys' spelling.
    public var sorted: [(key: String, value: JSONValue)] {
        members.map { ($0.key, $0.value) }.sorted { $0.key < $1.key }
    }
}

extension JSONObject: ExpressibleByDictionaryLiteral {
    /// Members in their order; no key comes twice.
    public init(dictionaryLiteral elements: (String, JSONValue)...) {
        members = elements.map { Member(key: $0.0, value: $0.1) }
    }
}
