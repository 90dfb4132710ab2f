# The page on a host with an NVIDIA card:
#   docker build -t cachelens . && docker run --gpus all -p 7860:7860 -v hub:/home/user/hub cachelens
# Without a card it serves the embedded model. HF_TOKEN (-e) opens gated models. Whoever reaches the port may use
# the page: -e CACHELENS_AUTH=user:password asks for a password, -p 127.0.0.1:7860:7860 serves this machine alone.
FROM nvidia/cuda:12.8.1-runtime-ubuntu24.04

RUN apt-get update \
 && apt-get install -y --no-install-recommends python3 python3-venv \
 && rm -rf /var/lib/apt/lists/*

# Ubuntu's image has a user of this number already; Spaces run as it too.
RUN (id -u 1000 >/dev/null 2>&1 && userdel --remove "$(id -nu 1000)" || true) && useradd --create-home --uid 1000 user
USER user
ENV HOME=/home/user HF_HOME=/home/user/hub HOST=0.0.0.0 PORT=7860 CACHELENS_AUTH=none PYTHONUNBUFFERED=1 PATH=/home/user/venv/bin:$PATH
WORKDIR /home/user/app

COPY --chown=user requirements.txt .
RUN python3 -m venv /home/user/venv \
 && pip install --no-cache-dir -r requirements.txt

COPY --chown=user . .
EXPOSE 7860
HEALTHCHECK --start-period=60s CMD python -c "import urllib.request; urllib.request.urlopen('http://127.0.0.1:7860/')"
CMD ["python", "app.py"]
