/**
 * Every limit of the broker, with its reason. What goes beyond one is refused or cut off in words that say so, or is let go
 * of; nothing grows without a bound. Sizes are in bytes, times in milliseconds, where a name does not say otherwise.
 *
 * Not here: what a person sets (`UPSTREAM_TIMEOUT_SECONDS`, `LOGIN_WAIT_SECONDS`), and what a store's own tools allow
 * (`app/store/`).
 */

// Connections of MCP clients and browsers.

/**
 * Open connections with a request on them. A client has one per stream and per call under way, so this is far beyond a
 * desk full of clients, and leaves file descriptors for as many connections to the upstream. An idle connection never
 * keeps a new one out: it gives way.
 */
export const MAX_CONNECTIONS = 2_048;
/** Connections beyond {@link MAX_CONNECTIONS} that may hear why they are refused; further ones are closed unheard. */
export const MAX_SURPLUS_CONNECTIONS = 512;
/** Such a connection has this long to send its request and to read the refusal. */
export const SURPLUS_PATIENCE_MS = 2_000;
/** Calls under way at once. Each has a connection of its own, unless a client sends many before the first is answered. */
export const MAX_CALLS = 2_048;
/** Requests of one connection that wait for their answers (RFC 9112 §9.3.2). No MCP client sends a second one at all. */
export const MAX_PIPELINED = 64;
/** Told to those who are refused because there are too many of them, in seconds. */
export const TOO_MANY_RETRY_SECONDS = 1;
/** The log tells of refusals of one kind at most so often. */
export const REFUSAL_NOTE_MS = 60_000;
/** A request head has this long to arrive. */
export const HEAD_TIMEOUT_MS = 60_000;
/** How often heads are looked at for that; Node's own measure. */
export const HEAD_CHECK_MS = 30_000;
/** A client's idle connection is kept for so long. */
export const KEEP_ALIVE_MS = 60_000;
/** Requests in flight may finish for so long when a broker closes. */
export const CLOSE_GRACE_MS = 5_000;

// Requests of MCP clients.

/** Largest head of a request or of an upstream's response: twice what the strictest common servers allow. */
export const MAX_HEAD_BYTES = 64 * 1024;
/** Fields in a request head. Node drops those beyond 2,000 in silence; here, all of them are looked at. */
export const MAX_HEADER_FIELDS = 1_000;
/** Longest request target. */
export const MAX_TARGET_BYTES = 16 * 1024;
/** A request body up to this size is held, so that its call can be sent again; a longer one passes as a stream. */
export const MAX_HELD_BYTES = 4 * 1024 * 1024;
/** Chunks of a held body that are not joined yet: each takes some 400 bytes, and a client may put one byte in each. */
export const MAX_LOOSE_CHUNKS = 256;
/** Larger held bodies are sent as a stream: the HTTP client keeps a buffer for as long as the answer streams. */
export const MAX_BUFFERED_BYTES = 64 * 1024;
/** All that is held at once of bodies over {@link MAX_BUFFERED_BYTES}; what comes on top of it passes as a stream. */
export const MAX_HELD_TOTAL_BYTES = 256 * 1024 * 1024;
/** Larger bodies are not read for the sake of a method's name. */
export const MAX_NAMED_BYTES = 64 * 1024;
/** Requests of a JSON-RPC batch that are refused one by one: a refusal must not be larger than what it answers. */
export const MAX_BATCH_REQUESTS = 1_000;
/** Calls that wait for a login; further ones are refused at once. */
export const MAX_WAITING_CALLS = 1_024;

// Answers of the upstream.

/** A TCP or TLS connection, or a tunnel through a proxy, is there within this time. */
export const CONNECT_TIMEOUT_MS = 10_000;
/** The system has this long to name a proxy; then the connection goes out directly. */
export const PROXY_LOOKUP_MS = 10_000;
/** An idle connection is kept for so long, or for as long as the server says. */
export const UPSTREAM_KEEP_ALIVE_MS = 30_000;
/** The longest that a server's own hint (`Keep-Alive: timeout=`) is honoured. */
export const MAX_UPSTREAM_KEEP_ALIVE_MS = 300_000;
/** A call whose connection closes later than this is not repeated: the upstream may well have begun to work on it. */
export const CLOSING_RACE_MS = 1_000;
/**
 * How often a call whose token was refused is sent again with a new one. Once is enough, unless the token that replaced
 * the first, for another call, has ended meanwhile.
 */
export const MAX_REPLAYS = 2;
/** A refusal that is taken over has its body thrown away; a longer one ends the connection. */
export const MAX_DISCARDED_BYTES = 64 * 1024;
/** The same for one that takes longer. */
export const MAX_DISCARDING_MS = 5_000;
/** How much of an event stream's first event is held, for its endpoint; a larger event passes unchanged. */
export const MAX_ENDPOINT_EVENT_BYTES = 64 * 1024;
/** Announced message endpoints that are remembered; the oldest goes first. */
export const MAX_ANNOUNCED_ENDPOINTS = 1_000;
/** How much of a response's challenges is read, in characters. */
export const MAX_CHALLENGE_LENGTH = 16 * 1024;
/** Operations that are remembered for want of scope; the oldest goes first. */
export const MAX_OPERATIONS = 1_000;
/** Logins offered in a row for one operation before its refusal lasts (MCP authorization, step-up flow). */
export const MAX_STEP_UPS = 3;

// Logins, and what strangers answer on the way.

/** Largest metadata document, registration or token response. Real ones have a few KiB. */
export const MAX_AUTHORIZATION_ANSWER_BYTES = 256 * 1024;
/** An authorization server has this long for a whole answer. */
export const AUTHORIZATION_TIMEOUT_MS = 10_000;
/** Redirects of one metadata request. */
export const MAX_REDIRECTS = 3;
/** Authorization servers of one resource that are tried. */
export const MAX_SERVERS = 5;
/** Longest host name (RFC 1035 §2.3.4). */
export const MAX_HOST_LENGTH = 253;
/** All requests of a discovery and a registration are begun within this time: a person is waiting. */
export const PREPARING_MS = 30_000;
/** Longest URL to log in at, in characters. Servers refuse longer ones, and it travels in a header. */
export const MAX_AUTHORIZATION_URL_LENGTH = 16 * 1024;
/** How long a login may take; its `state` is dead afterwards. */
export const LOGIN_LIFETIME_MS = 600_000;
/** Logins under way at once; a further one ends the oldest. */
export const MAX_PENDING_LOGINS = 50;
/** After a shared deadline has passed in vain, calls that need a login are refused at once for so long. */
export const LOGIN_REFUSAL_MS = 60_000;
/** Longest lifetime of a token that is believed, in seconds: a year. Longer ones are as good as none. */
export const MAX_LIFETIME_SECONDS = 31_536_000;
/** Longest wait after failures of an authorization server. */
export const LONGEST_BACK_OFF_MS = 30_000;
/** Waking waits for what it has begun for so long; a prompt may be on the screen. */
export const WAKE_MS = 30_000;

// Looking at a server that a person wants to add.

/** How long the look takes at most. */
export const LOOK_MS = 10_000;
/** How much of a server's answer is read for its revision. */
export const MAX_LOOK_BYTES = 64 * 1024;

/** A log file is set aside at this size; one older file is kept. */
export const MAX_LOG_FILE_BYTES = 2 * 1024 * 1024;
