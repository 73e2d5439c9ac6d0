# The front door of the house. `make help` lists what it can do.

# The first Python that really starts: it sets up the environments, and needs nothing but itself
PYTHON ?= $(shell for python in python3 python3.12 python3.11 python3.10 /usr/bin/python3 python; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 8))' 2>/dev/null && echo $$python && break; done)
APP := .venvs/app/bin/python
RASA := .venvs/rasa/bin/python

.DEFAULT_GOAL := help
.PHONY: help environments development run chat interactive train test evaluate rules-check lint format bench encoder lock migrate seed graph-sync stack-picture clean

help: ## this list / 列出所有命令
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

environments: ## make .venvs/app and .venvs/rasa, if they are not there / 准备运行环境
	@test -n "$(PYTHON)" || { echo "No Python 3.8 or newer was found / 没有找到 Python 3.8 以上版本"; exit 1; }
	@$(PYTHON) ops/environments.py

development: ## add what tests and checks need / 加装测试和检查工具
	@test -n "$(PYTHON)" || { echo "No Python 3.8 or newer was found / 没有找到 Python 3.8 以上版本"; exit 1; }
	@$(PYTHON) ops/environments.py development

run: train ## start everything, and stop it with Ctrl-C / 启动全部服务
	@exec $(APP) -m ops.stack

chat: environments ## talk to the running assistant in a terminal / 在终端里对话
	@exec $(APP) -m connectors chat

interactive: train ## correct the bot by talking to it; asks before bot/ changes / 边聊边教机器人
	@exec $(APP) -m ops.interactive

train: environments ## train the bot and its search for answers if their data changed; FORCE=1 trains anyway / 训练机器人
	@$(APP) -m ops.training $(if $(FORCE),--force)
	@$(APP) -m knowledge_graph train $(if $(FORCE),--force)

test: development train ## lint, types, contracts, tests, conversations / 全部检查
	@exec $(APP) -m ops.checks

evaluate: train ## measure how lines are understood, write docs/nlu-report.md; ARGS=--record sets the baseline / 评测理解效果
	@exec $(RASA) -m tests.nlu.evaluate $(ARGS)

rules-check: environments ## prove the files of rules without a start; FILE= another one / 检查规则文件
	@exec $(APP) -m mall_adapter rules-check $(if $(FILE),"$(FILE)")

lint: development ## only the quick checks of test / 只做快速检查
	@exec $(APP) -m ops.checks --quick

format: development ## format the code / 格式化代码
	@$(APP) -m ruff check --fix --quiet .
	@$(APP) -m ruff format --quiet .

bench: development train ## measure a turn, throughput, memory and start / 性能测试
	@exec $(APP) -m tests.bench

encoder: environments ## tune the encoder anew on what the bot is taught, 15 to 30 minutes / 重新训练语义模型
	@$(PYTHON) ops/environments.py encoder
	@exec $(APP) -m ops.encoder

lock: ## lock the versions of requirements/*.in anew; ARGS=--upgrade takes newer ones / 更新锁文件
	@$(PYTHON) ops/environments.py lock $(ARGS)

migrate: environments ## bring the database's tables up to date / 更新数据库结构
	@$(APP) -m mall_adapter migrate

seed: migrate ## fill an empty database with the demo mall; `-m mall_adapter unseed` removes it / 填充演示商城
	@$(APP) -m mall_adapter seed

graph-sync: environments ## bring goods and answers into the running graph; FILES= adds some / 同步图谱
	@$(APP) -m knowledge_graph sync $(FILES)

stack-picture: environments ## draw docs/images/stack.svg from the running demo; ARGS="--conversation ID" another / 画出流程栈
	@$(APP) -m ops.stack_picture $(ARGS)

clean: ## remove environments and models; var/ (data, keys) stays / 删除环境与模型，保留 var/
	rm -rf .venvs models .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .rasa
