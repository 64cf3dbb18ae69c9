# The service, on a CPU: docker build -t s3fd . && docker run -p 127.0.0.1:8000:8000 -e S3FD_API_KEY=… s3fd
FROM python:3.12-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN python -m venv /opt/s3fd && /opt/s3fd/bin/pip install '.[serve,postgres]'

FROM python:3.12-slim
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin s3fd \
    && install --directory --owner s3fd --mode 700 /gallery
COPY --from=build /opt/s3fd /opt/s3fd
# SQLite rewrites a gallery's file by way of a temporary one, for which a read-only file system has no other place.
ENV PATH=/opt/s3fd/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 SQLITE_TMPDIR=/gallery
# By its number, by which Kubernetes tells that it is not root.
USER 10001
EXPOSE 8000
# Past the proxy that Docker may hand to each container.
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s CMD ["python", "-c", "import urllib.request as u; u.build_opener(u.ProxyHandler({})).open('http://127.0.0.1:8000/healthz', timeout=4)"]
# Bound to all of the container's addresses, it asks for an API key: it does not start without S3FD_API_KEY.
ENTRYPOINT ["s3fd", "serve", "--host", "0.0.0.0"]
