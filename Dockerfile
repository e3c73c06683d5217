# syntax=docker/dockerfile:1

# The image of the operator, the API pods and the load generator: their programs and nothing else.
#
#   docker build -t localhost/flashsale:0.1.0 .

FROM rust:1.95.0-slim-bookworm AS build
WORKDIR /src
COPY . .
# One for each platform: what is built for one is of no use to another.
ARG TARGETPLATFORM
# Statically linked, so that the image needs no C library, and no updates of one. A target that is
# named keeps these flags from build scripts and macros, which cannot be linked like that.
# What was built stays in the cache, not in a layer: a change builds what it touches.
RUN --mount=type=cache,id=flashsale-registry,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,id=flashsale-target-${TARGETPLATFORM},target=/target,sharing=locked \
    set -eu; \
    platform="$(rustc -vV | sed -n 's/^host: //p')"; \
    RUSTFLAGS='-C target-feature=+crt-static' CARGO_TARGET_DIR=/target \
        cargo build --locked --profile dist --target "$platform" \
        -p flashsale-api -p flashsale-operator -p flashsale-load; \
    mkdir /programs; \
    for program in flashsale-api flashsale-operator flashsale-load; do \
        cp "/target/$platform/dist/$program" /programs/; \
    done

FROM scratch
LABEL org.opencontainers.image.title="flashsale" \
      org.opencontainers.image.description="Sells unique items in short, scheduled sales" \
      org.opencontainers.image.licenses="Apache-2.0"
# For TLS to Redis and Postgres.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /programs/ /usr/local/bin/
# A number: Kubernetes cannot tell from a name that a user is not root.
USER 65532:65532
