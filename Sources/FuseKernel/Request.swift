
/// One request of the kernel's, which must be answered exactly once.
///
/// It cannot be copied, and only the session consumes it, so it is answered *at most* once by the compiler's word; a handler
/// returns or throws, so it is answered *at least* once.
public struct Request: ~Copyable {
    /// Who asks.
    public let caller: Caller
}
