# Server without torch, run by an ordinary user.
#
#   docker build -t sidkit .
#   docker run -p 8000:8000 -e SIDKIT_SERVE_TOKEN=secret -v ./shop-model:/model:ro -v sidkit-state:/state sidkit

FROM rust:1-slim-bookworm AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 python3-pip python3-venv \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
RUN python3 -m venv /build && /build/bin/pip install --no-cache-dir "maturin>=1.9,<2"
COPY Cargo.toml Cargo.lock pyproject.toml README.md LICENSE ./
COPY benches/Cargo.toml benches/Cargo.toml
COPY benches/rust benches/rust
COPY rust rust
COPY python python
# The extension uses the stable ABI of Python, so it runs in the image below as well.
RUN /build/bin/maturin build --release --locked --out /wheels

FROM python:3.12-slim-bookworm
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    set -- /wheels/sidkit-*.whl && pip install --no-cache-dir "$1[server]" \
    && useradd --create-home --uid 10001 sidkit \
    && install --directory --owner sidkit --group sidkit /state
USER sidkit
WORKDIR /home/sidkit
VOLUME /state
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/readyz', timeout=2)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["sidkit", "serve"]
CMD ["/model", "--host", "0.0.0.0", "--state", "/state"]
