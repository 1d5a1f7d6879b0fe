/*
 * A CQL server with canned answers: it speaks protocol v4 and v5 (uncompressed), looks up what it is asked in
 * a file of answers that answers.py has made, patches the stream id in, and does nothing else, so that what a
 * benchmark measures is the client.
 *
 *     server ANSWERS        prints its port on 127.0.0.1, serves until standard input is closed
 *
 * One thread, epoll, several connections. All that is known about tables and statements is in the file.
 *
 * A client can make it a slow node: after the query HOLD it keeps every EXECUTE, of all connections, until the
 * query RELEASE. The table bench.server, if there is one, says how many connections are ready and how many
 * requests are held.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ERROR = 0, STARTUP = 1, READY = 2, OPTIONS = 5, SUPPORTED = 6, QUERY = 7, RESULT = 8, PREPARE = 9,
       EXECUTE = 10, REGISTER = 11 };
enum { PROTOCOL_ERROR = 0x000A, INVALID = 0x2200, UNPREPARED = 0x2500 };
enum { HEADER = 9, SEGMENT_HEADER = 6, SEGMENT_TRAILER = 4, MAX_PAYLOAD = 131071,
       PIECE = 131054 };          /* the size of pieces that Cassandra itself cuts a large envelope into */
enum { SKIPPED, FULL, CHANGED, SHAPES }; /* the rows without metadata, with it, with it and its new id */

#define MAX_ENVELOPE (16u << 20)  /* bytes: a longer request is refused, as by Cassandra */
#define MAX_OUTPUT (4u << 20)     /* bytes waiting to be written: above it a connection is not read from */
#define READ_SIZE (256u << 10)    /* bytes asked of one recv() */
#define NOWHERE UINT32_MAX

/* ---- bytes --------------------------------------------------------------------------------------------- */

struct slice { uint8_t *data; size_t length; };
struct reader { uint8_t *at, *end; bool failed; };
struct buffer { uint8_t *data; size_t start, end, capacity; };

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void *allocate(void *old, size_t size)
{
    void *new = realloc(old, size);
    if (new == NULL)
        die("realloc");
    return new;
}

static uint64_t take(struct reader *in, int bytes)
{
    uint64_t value = 0;
    if (in->end - in->at < bytes) {
        in->failed = true;
        return 0;
    }
    while (bytes-- > 0)
        value = value << 8 | *in->at++;
    return value;
}

static struct slice take_slice(struct reader *in, size_t length)
{
    if ((size_t)(in->end - in->at) < length) {
        in->failed = true;
        return (struct slice){in->at, 0};
    }
    in->at += length;
    return (struct slice){in->at - length, length};
}

static bool same(struct slice a, struct slice b)
{
    return a.length == b.length && memcmp(a.data, b.data, a.length) == 0;
}

static void big_endian(uint8_t *at, uint32_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        at[i] = value >> 8 * (bytes - 1 - i);
}

static void little_endian(uint8_t *at, uint32_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        at[i] = value >> 8 * i;
}

static size_t filled(const struct buffer *buffer)
{
    return buffer->end - buffer->start;
}

/* Room for so many bytes more at the end. */
static uint8_t *room(struct buffer *buffer, size_t length)
{
    if (buffer->start == buffer->end)
        buffer->start = buffer->end = 0;
    if (buffer->end + length > buffer->capacity && buffer->start) {
        memmove(buffer->data, buffer->data + buffer->start, filled(buffer));
        buffer->end -= buffer->start;
        buffer->start = 0;
    }
    if (buffer->end + length > buffer->capacity) {
        buffer->capacity = 2 * (buffer->end + length);
        buffer->data = allocate(buffer->data, buffer->capacity);
    }
    return buffer->data + buffer->end;
}

static void append(struct buffer *buffer, const void *data, size_t length)
{
    if (length) {
        memcpy(room(buffer, length), data, length);
        buffer->end += length;
    }
}

static void append_number(struct buffer *buffer, uint32_t value, int bytes)
{
    big_endian(room(buffer, bytes), value, bytes);
    buffer->end += bytes;
}

/* ---- checksums of v5 segments -------------------------------------------------------------------------- */

static uint32_t crc32_table[256];

static void prepare_crc32(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t value = i;
        for (int bit = 0; bit < 8; bit++)
            value = value & 1 ? value >> 1 ^ 0xEDB88320 : value >> 1;
        crc32_table[i] = value;
    }
}

static uint32_t crc32_more(uint32_t crc, const uint8_t *data, size_t length)
{
    while (length--)
        crc = crc32_table[(crc ^ *data++) & 0xFF] ^ crc >> 8;
    return crc;
}

/* Over FA 2D 55 CA and then the payload, which may lie in two parts. */
static uint32_t payload_crc(struct slice first, struct slice second)
{
    uint32_t crc = crc32_more(~0u, (const uint8_t *)"\xFA\x2D\x55\xCA", 4);
    return ~crc32_more(crc32_more(crc, first.data, first.length), second.data, second.length);
}

static uint32_t header_crc(const uint8_t *header)
{
    uint32_t crc = 0x875060;
    for (int i = 0; i < 3; i++) {
        crc ^= (uint32_t)header[i] << 16;
        for (int bit = 0; bit < 8; bit++) {
            crc <<= 1;
            if (crc & 0x1000000)
                crc ^= 0x1974F0B;
        }
    }
    return crc;
}

/* ---- the answers --------------------------------------------------------------------------------------- */

/* echo: where in the body the first bound value of a request is put back, so that each answer is its own. */
struct canned { uint32_t echo; struct slice body; };
struct statement {
    int version;
    struct slice text, id, metadata_id;
    unsigned values;
    struct slice prepared;
    struct canned answers[SHAPES];
};
struct column { struct slice name, spec; };
struct table {
    struct slice name;
    uint32_t width, height;
    struct column *columns;
    struct slice *cells;              /* row by row, each with its length before it, as on the wire */
};

static struct slice supported;
static struct statement *statements;
static struct table *tables;
static size_t statement_count, table_count;

static struct slice field(struct reader *in)
{
    return take_slice(in, take(in, 4));
}

static void read_statement(struct reader *in)
{
    statements = allocate(statements, (statement_count + 1) * sizeof *statements);
    struct statement *new = &statements[statement_count++];
    new->version = take(in, 1);
    new->text = field(in);
    new->id = field(in);
    new->metadata_id = field(in);
    new->values = take(in, 2);
    new->prepared = field(in);
    for (int shape = 0; shape < SHAPES; shape++) {
        new->answers[shape].echo = take(in, 4);
        new->answers[shape].body = field(in);
    }
}

static void read_table(struct reader *in)
{
    tables = allocate(tables, (table_count + 1) * sizeof *tables);
    struct table *new = &tables[table_count++];
    new->name = field(in);
    new->width = take(in, 4);
    new->columns = allocate(NULL, (new->width + 1) * sizeof *new->columns);
    for (uint32_t i = 0; i < new->width && !in->failed; i++) {
        new->columns[i].name = field(in);
        new->columns[i].spec = field(in);
    }
    new->height = take(in, 4);
    new->cells = allocate(NULL, ((size_t)new->width * new->height + 1) * sizeof *new->cells);
    for (size_t i = 0; i < (size_t)new->width * new->height && !in->failed; i++)
        new->cells[i] = field(in);
}

static void read_answers(const char *path)
{
    struct buffer file = {0};
    size_t got;
    FILE *stream = fopen(path, "rb");
    if (stream == NULL)
        die(path);
    while ((got = fread(room(&file, READ_SIZE), 1, READ_SIZE, stream)) > 0)
        file.end += got;
    fclose(stream);
    struct reader in = {file.data, file.data + file.end, false};
    while (in.at < in.end && !in.failed) {
        switch (take(&in, 1)) {
        case 'S': supported = field(&in); break;
        case 'P': read_statement(&in); break;
        case 'T': read_table(&in); break;
        default: in.failed = true;
        }
    }
    if (in.failed) {
        fprintf(stderr, "%s: not a file of answers\n", path);
        exit(1);
    }
}

static bool is(struct slice text, const char *what)
{
    return text.length == strlen(what) && memcmp(text.data, what, text.length) == 0;
}

/* Put a number that is only known now into the first row of a table; the cell is an int already. */
static void patch(const char *table, const char *column, uint32_t value)
{
    for (size_t t = 0; t < table_count; t++)
        for (uint32_t c = 0; is(tables[t].name, table) && tables[t].height && c < tables[t].width; c++)
            if (is(tables[t].columns[c].name, column))
                big_endian(tables[t].cells[c].data + 4, value, 4);
}

/* ---- connections: writing ------------------------------------------------------------------------------ */

struct connection {
    int fd;
    int version;                  /* of the connection: 0 until STARTUP */
    bool segmented;               /* v5 after READY */
    bool closing;                 /* write what there is, then close */
    bool stalled;                 /* too much output is waiting: input is left where it is */
    uint32_t watched;             /* what epoll watches for us */
    struct buffer input, output;
    struct buffer segment;        /* envelopes that will go out together, as one self-contained segment */
    struct buffer envelopes;      /* what incoming segments held: whole envelopes, or pieces of a large one */
    struct buffer held;           /* whole envelopes that wait for RELEASE */
    struct connection *next, *previous;
};

static struct connection *connections;
static uint32_t ready_count, held_count; /* connections after STARTUP; requests that wait for RELEASE */
static bool holding, releasing;          /* between HOLD and RELEASE; from RELEASE to the end of that turn */

static void put_segment(struct connection *to, struct slice first, struct slice second, bool self_contained)
{
    uint8_t header[SEGMENT_HEADER], trailer[SEGMENT_TRAILER];
    little_endian(header, (first.length + second.length) | (uint32_t)self_contained << 17, 3);
    little_endian(header + 3, header_crc(header), 3);
    little_endian(trailer, payload_crc(first, second), 4);
    append(&to->output, header, sizeof header);
    append(&to->output, first.data, first.length);
    append(&to->output, second.data, second.length);
    append(&to->output, trailer, sizeof trailer);
}

static void seal_segment(struct connection *to)
{
    struct slice payload = {to->segment.data + to->segment.start, filled(&to->segment)}, nothing = {NULL, 0};
    if (payload.length)
        put_segment(to, payload, nothing, true);
    to->segment.start = to->segment.end = 0;
}

/* An envelope too large for one segment: in pieces, none of which is shared or called self-contained. */
static void put_pieces(struct connection *to, struct slice header, struct slice body)
{
    size_t first = PIECE - header.length;
    put_segment(to, header, (struct slice){body.data, first}, false);
    for (size_t at = first; at < body.length; at += PIECE) {
        size_t length = body.length - at < PIECE ? body.length - at : PIECE;
        put_segment(to, (struct slice){body.data + at, length}, (struct slice){NULL, 0}, false);
    }
}

static void answer(struct connection *to, int version, uint16_t stream, uint8_t opcode, struct slice body)
{
    uint8_t header[HEADER] = {0x80 | version, 0, stream >> 8, stream & 0xFF, opcode};
    big_endian(header + 5, body.length, 4);
    if (to->segmented && HEADER + body.length > MAX_PAYLOAD) {
        seal_segment(to);
        put_pieces(to, (struct slice){header, HEADER}, body);
        return;
    }
    if (to->segmented && filled(&to->segment) + HEADER + body.length > MAX_PAYLOAD)
        seal_segment(to);
    struct buffer *out = to->segmented ? &to->segment : &to->output;
    append(out, header, HEADER);
    append(out, body.data, body.length);
}

static void answer_buffer(struct connection *to, int version, uint16_t stream, uint8_t opcode,
                          struct buffer *body)
{
    answer(to, version, stream, opcode, (struct slice){body->data, body->end});
    free(body->data);
}

static void begin_error(struct buffer *body, uint32_t code, const char *format, ...)
{
    char text[600];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if ((size_t)length >= sizeof text)
        length = sizeof text - 1;
    append_number(body, code, 4);
    append_number(body, length, 2);
    append(body, text, length);
}

#define answer_error(to, version, stream, code, ...)                     \
    do {                                                                 \
        struct buffer error_body = {0};                                  \
        begin_error(&error_body, code, __VA_ARGS__);                     \
        answer_buffer(to, version, stream, ERROR, &error_body);          \
    } while (0)

/* What cannot be told to any one request goes out on stream 0, and the connection ends. */
static void give_up(struct connection *on, const char *why)
{
    answer_error(on, on->version, 0, PROTOCOL_ERROR, "%s", why);
    on->closing = true;
}

/* ---- requests ------------------------------------------------------------------------------------------ */

static struct column *find_column(const struct table *table, const char *name, size_t length)
{
    for (uint32_t i = 0; i < table->width; i++) {
        struct slice known = table->columns[i].name;
        if (known.length == length && strncasecmp((char *)known.data, name, length) == 0)
            return &table->columns[i];
    }
    return NULL;
}

/* The columns of "a, b, c" or "*", as indices; -1 when one is unknown. */
static int project(const struct table *table, char *list, uint32_t *chosen, uint32_t limit)
{
    const char *between = ", \t\n\"";
    char *rest = NULL;
    uint32_t count = 0;
    for (char *name = strtok_r(list, between, &rest); name; name = strtok_r(NULL, between, &rest)) {
        if (strcmp(name, "*") == 0) {
            for (count = 0; count < table->width && count < limit; count++)
                chosen[count] = count;
            return count;
        }
        struct column *column = find_column(table, name, strlen(name));
        if (column == NULL || count == limit)
            return -1;
        chosen[count++] = column - table->columns;
    }
    return count ? (int)count : -1;
}

static void answer_rows(struct connection *to, int version, uint16_t stream, const struct table *table,
                        const uint32_t *chosen, uint32_t count)
{
    struct buffer body = {0};
    size_t dot = (uint8_t *)memchr(table->name.data, '.', table->name.length) - table->name.data;
    append_number(&body, 2, 4);                       /* Rows, */
    append_number(&body, 1, 4);                       /* with one table for all columns */
    append_number(&body, count, 4);
    append_number(&body, dot, 2);
    append(&body, table->name.data, dot);
    append_number(&body, table->name.length - dot - 1, 2);
    append(&body, table->name.data + dot + 1, table->name.length - dot - 1);
    for (uint32_t i = 0; i < count; i++)
        append(&body, table->columns[chosen[i]].spec.data, table->columns[chosen[i]].spec.length);
    append_number(&body, table->height, 4);
    for (uint32_t row = 0; row < table->height; row++)
        for (uint32_t i = 0; i < count; i++) {
            struct slice cell = table->cells[(size_t)row * table->width + chosen[i]];
            append(&body, cell.data, cell.length);
        }
    answer_buffer(to, version, stream, RESULT, &body);
}

/* HOLD, RELEASE, or SELECT columns FROM table; what comes after its name (WHERE, LIMIT) is not looked at. */
static void on_query(struct connection *from, int version, uint16_t stream, struct reader in)
{
    struct slice text = take_slice(&in, take(&in, 4));
    if (is(text, "HOLD") || is(text, "RELEASE")) {
        holding = is(text, "HOLD");
        releasing = !holding;
        answer(from, version, stream, RESULT, (struct slice){(uint8_t *)"\0\0\0\1", 4});   /* Void */
        return;
    }
    patch("bench.server", "connections", ready_count);
    patch("bench.server", "held", held_count);
    char query[2000] = {0};
    memcpy(query, text.data, text.length < sizeof query ? text.length : sizeof query - 1);
    char *list = query + strspn(query, " \n"), *name = strcasestr(query, " from ");
    if (in.failed || strncasecmp(list, "select ", 7) != 0 || name == NULL) {
        answer_error(from, version, stream, INVALID, "no canned answer for the query: %.400s", query);
        return;
    }
    *name = 0;
    name += 6 + strspn(name + 6, " ");
    struct slice wanted = {(uint8_t *)name, strcspn(name, " ;\n")};
    uint32_t chosen[64];
    for (size_t i = 0; i < table_count; i++)
        if (same(tables[i].name, wanted)) {
            int count = project(&tables[i], list + 7, chosen, 64);
            if (count > 0)
                answer_rows(from, version, stream, &tables[i], chosen, count);
            else
                answer_error(from, version, stream, INVALID, "no canned columns for the query: %.400s", list);
            return;
        }
    answer_error(from, version, stream, INVALID, "no canned table %.*s", (int)wanted.length, name);
}

static void on_prepare(struct connection *from, int version, uint16_t stream, struct reader in)
{
    struct slice text = take_slice(&in, take(&in, 4));
    for (size_t i = 0; i < statement_count && !in.failed; i++)
        if (statements[i].version == version && same(statements[i].text, text)) {
            answer(from, version, stream, RESULT, statements[i].prepared);
            return;
        }
    int shown = text.length < 400 ? (int)text.length : 400;
    answer_error(from, version, stream, INVALID, "no canned answer for: %.*s", shown, text.data);
}

static const struct statement *find_statement(int version, struct slice id)
{
    for (size_t i = 0; i < statement_count; i++)
        if (statements[i].version == version && same(statements[i].id, id))
            return &statements[i];
    return NULL;
}

/* [consistency][flags][values]...: the first value goes into the answer, the others are only counted. */
static void on_execute(struct connection *from, int version, uint16_t stream, struct reader in)
{
    struct slice id = take_slice(&in, take(&in, 2)), metadata_id = {NULL, 0}, value = {NULL, 0};
    const struct statement *statement = find_statement(version, id);
    if (version == 5)
        metadata_id = take_slice(&in, take(&in, 2));
    take(&in, 2);
    uint32_t flags = take(&in, version == 5 ? 4 : 1), count = flags & 0x01 ? take(&in, 2) : 0;
    if (count && flags & 0x40)                        /* names for values */
        take_slice(&in, take(&in, 2));
    if (count)
        value = take_slice(&in, take(&in, 4));
    if (in.failed) {
        answer_error(from, version, stream, PROTOCOL_ERROR, "EXECUTE cut short");
        return;
    }
    if (statement == NULL) {
        struct buffer body = {0};
        begin_error(&body, UNPREPARED, "no such prepared statement");
        append_number(&body, id.length, 2);
        append(&body, id.data, id.length);
        answer_buffer(from, version, stream, ERROR, &body);
        return;
    }
    int shape = flags & 0x02 ? SKIPPED : FULL;
    if (version == 5 && !same(metadata_id, statement->metadata_id))
        shape = CHANGED;
    struct canned canned = statement->answers[shape];
    if (count != statement->values) {
        answer_error(from, version, stream, INVALID, "there were %u markers(?) in CQL but %u bound variables",
                     statement->values, count);
        return;
    }
    if (canned.echo != NOWHERE) {
        struct reader length = {canned.body.data + canned.echo - 4, canned.body.data + canned.echo, false};
        if (value.length != take(&length, 4)) {
            answer_error(from, version, stream, INVALID, "a first value of %zu bytes", value.length);
            return;
        }
        memcpy(canned.body.data + canned.echo, value.data, value.length);
    }
    answer(from, version, stream, RESULT, canned.body);
}

/* Keep a request as it is, for RELEASE. */
static void hold(struct connection *from, const uint8_t *header, uint32_t length)
{
    append(&from->held, header, HEADER + (size_t)length);
    held_count++;
}

static void on_startup(struct connection *from, int version, uint16_t stream, struct reader in)
{
    if (from->version) {
        answer_error(from, version, stream, PROTOCOL_ERROR, "the connection is already initialized");
    } else if (memmem(in.at, in.end - in.at, "COMPRESSION", 11)) {
        answer_error(from, version, stream, PROTOCOL_ERROR, "no compression is offered");
    } else {
        answer(from, version, stream, READY, (struct slice){NULL, 0});
        from->version = version;
        ready_count++;
        from->segmented = version == 5;               /* from here on, in both directions */
    }
}

/* One whole envelope; HEADER bytes and its body. */
static void on_envelope(struct connection *from, uint8_t *header, uint32_t length)
{
    struct reader in = {header + HEADER, header + HEADER + length, false};
    int version = header[0];
    uint16_t stream = header[2] << 8 | header[3];
    if (version != 4 && version != 5) {
        answer_error(from, 5, 0, PROTOCOL_ERROR,
                     "Invalid or unsupported protocol version (%d); supported versions are (4/v4, 5/v5)",
                     version);
    } else if (from->version && version != from->version) {
        answer_error(from, from->version, stream, PROTOCOL_ERROR, "Invalid message version. Got %d", version);
    } else if (version == 4 && header[1] & 1) {
        answer_error(from, version, stream, PROTOCOL_ERROR, "a compressed body without negotiation");
    } else if (header[4] == OPTIONS) {
        answer(from, version, stream, SUPPORTED, supported);
    } else if (header[4] == STARTUP) {
        on_startup(from, version, stream, in);
    } else if (!from->version) {
        answer_error(from, version, 0, PROTOCOL_ERROR, "Unexpected message, expecting STARTUP or OPTIONS");
    } else {
        switch (header[4]) {
        case EXECUTE:
            if (holding)
                hold(from, header, length);
            else
                on_execute(from, version, stream, in);
            break;
        case QUERY: on_query(from, version, stream, in); break;
        case PREPARE: on_prepare(from, version, stream, in); break;
        case REGISTER: answer(from, version, stream, READY, (struct slice){NULL, 0}); break;
        default: answer_error(from, version, stream, PROTOCOL_ERROR, "no answer for opcode %d", header[4]);
        }
    }
}

/* ---- connections: reading ------------------------------------------------------------------------------ */

/* Take one envelope off the front. False: it is not all there yet. */
static bool next_envelope(struct connection *from, struct buffer *in)
{
    if (filled(in) < HEADER)
        return false;
    uint8_t *header = in->data + in->start;
    struct reader field = {header + 5, header + HEADER, false};
    uint32_t length = take(&field, 4);
    if (length > MAX_ENVELOPE) {
        give_up(from, "Request is too big");
        return false;
    }
    if (filled(in) < HEADER + length)
        return false;
    on_envelope(from, header, length);
    in->start += HEADER + length;
    return true;
}

/* Take one segment off the front, and what is in it to the envelopes. */
static bool next_segment(struct connection *from)
{
    struct buffer *in = &from->input;
    if (filled(in) < SEGMENT_HEADER)
        return false;
    uint8_t *header = in->data + in->start, crc[4];
    uint32_t bits = header[0] | header[1] << 8 | (uint32_t)header[2] << 16, length = bits & 0x1FFFF;
    little_endian(crc, header_crc(header), 3);
    if (memcmp(crc, header + 3, 3) != 0) {
        give_up(from, "invalid, unrecoverable CRC mismatch detected in frame header");
        return false;
    }
    if (filled(in) < SEGMENT_HEADER + length + SEGMENT_TRAILER)
        return false;
    struct slice payload = {header + SEGMENT_HEADER, length};
    little_endian(crc, payload_crc(payload, (struct slice){NULL, 0}), 4);
    if (memcmp(crc, payload.data + length, 4) != 0) {
        give_up(from, "invalid, unrecoverable CRC mismatch detected in frame body");
        return false;
    }
    if (bits & 1 << 17 && filled(&from->envelopes)) {
        give_up(from, "a self-contained segment in the middle of an envelope");
        return false;
    }
    append(&from->envelopes, payload.data, length);
    in->start += SEGMENT_HEADER + length + SEGMENT_TRAILER;
    return true;
}

/* Write until there is nothing more or the socket takes no more. */
static void flush_output(struct connection *to, bool *lost)
{
    while (filled(&to->output)) {
        ssize_t sent = send(to->fd, to->output.data + to->output.start, filled(&to->output), MSG_NOSIGNAL);
        if (sent < 0) {
            *lost = *lost || (errno != EAGAIN && errno != EINTR);
            return;
        }
        to->output.start += sent;
    }
}

/* Answer what has arrived, until the input is used up or too much output is waiting. */
static void answer_input(struct connection *on)
{
    bool more = true;
    while (more && !on->closing && filled(&on->output) < MAX_OUTPUT)
        more = on->segmented ? next_envelope(on, &on->envelopes) || (!on->closing && next_segment(on))
                             : next_envelope(on, &on->input);
    on->stalled = more && !on->closing;
    seal_segment(on);
}

/* Answer what was held. None of it is input any more, so no limit on the output stops this. */
static void answer_held(struct connection *on)
{
    while (filled(&on->held)) {
        uint8_t *header = on->held.data + on->held.start;
        struct reader field = {header + 5, header + HEADER, false};
        uint32_t length = take(&field, 4);
        on->held.start += HEADER + length;
        held_count--;
        on_envelope(on, header, length);
    }
    seal_segment(on);
}

static uint32_t count_envelopes(const struct buffer *whole)
{
    uint32_t count = 0;
    for (size_t at = whole->start; at < whole->end; count++) {
        struct reader field = {whole->data + at + 5, whole->data + at + HEADER, false};
        at += HEADER + take(&field, 4);
    }
    return count;
}

static void close_connection(struct connection *on)
{
    ready_count -= on->version != 0;
    held_count -= count_envelopes(&on->held);
    if (on->next)
        on->next->previous = on->previous;
    *(on->previous ? &on->previous->next : &connections) = on->next;
    close(on->fd);
    free(on->input.data);
    free(on->output.data);
    free(on->segment.data);
    free(on->envelopes.data);
    free(on->held.data);
    free(on);
}

static void serve(int epoll, struct connection *on, uint32_t events)
{
    bool lost = false;
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        ssize_t got = recv(on->fd, room(&on->input, READ_SIZE), READ_SIZE, 0);
        lost = got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
        on->input.end += got > 0 ? got : 0;
    }
    do {
        answer_input(on);
        flush_output(on, &lost);
    } while (on->stalled && !lost && filled(&on->output) < MAX_OUTPUT);
    if (lost || (on->closing && !filled(&on->output))) {
        close_connection(on);
        return;
    }
    uint32_t watched = (on->stalled || on->closing ? 0 : EPOLLIN) | (filled(&on->output) ? EPOLLOUT : 0);
    if (watched != on->watched) {
        struct epoll_event event = {.events = watched, .data.ptr = on};
        on->watched = watched;
        if (epoll_ctl(epoll, EPOLL_CTL_MOD, on->fd, &event) < 0)
            die("epoll_ctl");
    }
}

/* After RELEASE: what every connection has waited for. */
static void release(int epoll)
{
    releasing = false;
    for (struct connection *on = connections, *next; on; on = next) {
        next = on->next;
        if (filled(&on->held)) {
            answer_held(on);
            serve(epoll, on, 0);
        }
    }
}

static void accept_connection(int epoll, int listener)
{
    int yes = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    struct connection *new = allocate(NULL, sizeof *new);
    *new = (struct connection){.fd = fd, .watched = EPOLLIN, .next = connections};
    if (connections)
        connections->previous = new;
    connections = new;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = new};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        die("epoll_ctl");
}

static int listen_somewhere(uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, length) < 0 || listen(listener, 128) < 0
        || getsockname(listener, (struct sockaddr *)&address, &length) < 0)
        die("listen");
    *port = ntohs(address.sin_port);
    return listener;
}

int main(int argc, char **argv)
{
    uint16_t port;
    if (argc != 2) {
        fprintf(stderr, "usage: %s ANSWERS\n", argv[0]);
        return 2;
    }
    prepare_crc32();
    read_answers(argv[1]);
    int listener = listen_somewhere(&port), epoll = epoll_create1(EPOLL_CLOEXEC);
    patch("system.local", "rpc_port", port);          /* the node has to name its real port */
    /* Two special marks for the two descriptors that are no connections. */
    struct epoll_event arrivals = {.events = EPOLLIN, .data.ptr = &listener};
    struct epoll_event end = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &arrivals) < 0
        || epoll_ctl(epoll, EPOLL_CTL_ADD, STDIN_FILENO, &end) < 0)
        die("epoll");
    printf("%d\n", port);
    fflush(stdout);
    for (;;) {
        struct epoll_event events[64];
        int count = epoll_wait(epoll, events, 64, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == NULL)
                return 0;         /* standard input was closed: whoever started us has ended */
            if (events[i].data.ptr == &listener)
                accept_connection(epoll, listener);
            else
                serve(epoll, events[i].data.ptr, events[i].events);
        }
        if (releasing)
            release(epoll);
    }
}
